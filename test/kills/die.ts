/** SIGKILL from within a function of a job, at exactly this record: no outside effect is near. */
export function dieHere(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal may be taken by another thread: nothing more may happen on this one.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error('killed, and still there')
}
