/**
 * A directory that a job writes to: is it there, may we write there, is there room.
 */
import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { bytesText } from '../amounts.ts'
import { fail, ok, warn, type Finding } from './finding.ts'

const FEW_BYTES = 1024 ** 3
const TOO_FEW_BYTES = 64 * 1024 ** 2
const OTHERS_WRITE = 0o022

/** `isShared`: others may write there, as into an output directory. */
export async function placeFindings(
  check: string,
  path: string,
  { isShared }: { readonly isShared: boolean },
): Promise<readonly Finding[]> {
  const info = await stat(path).catch(() => undefined)
  if (info === undefined) return absentFindings(check, path)
  if (!info.isDirectory()) return [fail(check, `${path} is not a directory`, 'give a directory')]
  return [await accessFinding(check, path, isShared ? 0 : info.mode & OTHERS_WRITE), await spaceFinding(path)]
}

/** It is made by the run: what counts is the nearest directory above it that is there. */
async function absentFindings(check: string, path: string): Promise<readonly Finding[]> {
  let above = dirname(path)
  while ((await stat(above).catch(() => undefined)) === undefined && above !== dirname(above)) above = dirname(above)
  const isWritable = await mayWrite(above)
  const finding = isWritable
    ? ok(check, `${path} is not there yet; a run makes it`)
    : fail(check, `${path} is not there, and cannot be made in ${above}`, whoMayWrite(above))
  return [finding, await spaceFinding(above)]
}

async function accessFinding(check: string, path: string, othersWrite: number): Promise<Finding> {
  if (!(await mayWrite(path))) return fail(check, `${path} cannot be written by this user`, whoMayWrite(path))
  if (othersWrite === 0) return ok(check, `${path} can be read and written`)
  return warn(check, `${path} can be written by other users too`, `take their rights away: chmod go-w ${path}`)
}

async function spaceFinding(path: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(path)
  const free = bavail * bsize
  const message = `${bytesText(free)} free on the disk of ${path}`
  if (free < TOO_FEW_BYTES)
    return fail('space', message, 'make room: a checkpoint that cannot be written does not complete')
  return free < FEW_BYTES ? warn('space', message, 'make room before it is used up') : ok('space', message)
}

async function mayWrite(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function whoMayWrite(path: string): string {
  return `let user ${process.getuid?.() ?? 'of this process'} read and write ${path}, or use another place`
}
