/** Preloaded into the command and its workers: one mistake (KILLS_MISTAKE) that a host of workers can make, seeded into the engine. */
import { HostedAttempt } from '../../engine/worker/hosted-attempt.ts'
import { PeerLinks } from '../../engine/worker/peer-links.ts'
import { RemoteChannelReader } from '../../engine/worker/remote-channel.ts'

/** Longer than from one checkpoint to the next, on a busy machine too. */
const LATE_MS = 1_000

const MISTAKES = {
  none: () => undefined,
  'records of the attempt before arrive in the next one': resendRecords,
  'a barrier overtakes records between workers': delayRecords,
  'records are lost between workers': loseRecords,
  'an attempt does not wait until the one before is disposed of': () =>
    replace(HostedAttempt, 'dispose', (_attempt, dispose) => {
      void dispose()
      return Promise.resolve()
    }),
  'an attempt after a death begins without its checkpoint': () =>
    changeLaterAttempts((spec) => ({ ...spec, restored: null })),
  'an attempt after a death begins without keyed state': () =>
    changeLaterAttempts(({ restored, ...spec }) => ({
      ...spec,
      restored: { ...restored, operators: restored.operators.map(({ state: _, ...operator }) => operator) },
    })),
  'an attempt after a death has the names of the one before': () =>
    changeLaterAttempts((spec, first) => ({ ...spec, names: first.names })),
}

MISTAKES[process.env.KILLS_MISTAKE]()

/** `changed` gets the object, what it does otherwise, and the arguments. */
function replace({ prototype }, method, changed) {
  const original = prototype[method]
  prototype[method] = function replaced(...args) {
    return changed(this, (...given) => Reflect.apply(original, this, given), ...args)
  }
}

function changeLaterAttempts(change) {
  let first
  replace(HostedAttempt, 'open', (_attempt, open, spec) => {
    first ??= spec
    return open(first === spec ? spec : change(spec, first))
  })
}

function resendRecords() {
  let links
  let last = []
  replace(PeerLinks, 'send', (current, send, ...frame) => {
    const [peer, kind, channel, payload] = frame
    const old = links === current ? [] : last
    if (kind === 'records') {
      for (const one of old) send(...one)
      links = current
      last = [[peer, kind, channel, copyOf(payload)]]
    }
    return send(...frame)
  })
}

function delayRecords() {
  const waiting = []
  replace(PeerLinks, 'send', (_links, send, ...frame) => {
    const [peer, kind, channel, payload] = frame
    if (kind !== 'records' && kind !== 'ended') return void send(...frame)
    const copy = payload === undefined ? undefined : copyOf(payload)
    waiting.push(() => send(peer, kind, channel, copy))
    setTimeout(() => waiting.shift()(), LATE_MS)
  })
}

/** The tenth batch that comes to a worker. */
function loseRecords() {
  let batches = 0
  replace(RemoteChannelReader, 'received', (_reader, received, frame) => {
    if (frame.kind === 'records') batches += 1
    if (frame.kind !== 'records' || batches !== 10) received(frame)
  })
}

function copyOf({ head, rest }) {
  return { head: Buffer.from(head), ...(rest === undefined ? {} : { rest: Buffer.from(rest) }) }
}
