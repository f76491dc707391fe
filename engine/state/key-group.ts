/**
 * Key groups: the unit in which state is kept, stored and handed over on a rescale. Bit for bit Flink's KeyGroupRangeAssignment: Java's
 * String.hashCode of the key's string form, finalised by org.apache.flink.util.MathUtils.murmurHash, modulo maxParallelism.
 */

/** In [0, maxParallelism). */
export function keyGroupOf(key: string, maxParallelism: number): number {
  return keyGroupOfHash(javaHash(key), maxParallelism)
}

/** Of a key with this Java hash. */
export function keyGroupOfHash(hash: number, maxParallelism: number): number {
  const spread = murmurHash(hash)
  // A division takes as long as all of the hash.
  return (maxParallelism & (maxParallelism - 1)) === 0 ? spread & (maxParallelism - 1) : spread % maxParallelism
}

/** String.hashCode. */
export function javaHash(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/** The key groups of one subtask, both ends included. */
export function keyGroupRange(
  subtask: number,
  parallelism: number,
  maxParallelism: number,
): { readonly first: number; readonly last: number } {
  const first = Math.floor((subtask * maxParallelism + parallelism - 1) / parallelism)
  const last = Math.floor(((subtask + 1) * maxParallelism - 1) / parallelism)
  return { first, last }
}

/** The subtask that owns a key group. */
export function subtaskOf(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

/** Never negative. */
function murmurHash(code: number): number {
  let hash = Math.imul(code, 0xcc9e2d51)
  hash = (hash << 15) | (hash >>> 17)
  hash = Math.imul(hash, 0x1b873593)
  hash = (hash << 13) | (hash >>> 19)
  hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  hash ^= 4
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  if (hash >= 0) return hash
  return hash === -2_147_483_648 ? 0 : -hash
}
