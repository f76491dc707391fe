/** Whether docs/errors.md and the product say the same: every error that a user can meet has a code, and stands there once. */
import { comparable, errorSitesOf, type ErrorSite } from './error-sites.ts'
import type { Tree } from './rules.ts'

export const ERROR_PAGE = 'docs/errors.md'

const PRODUCT = /^(?:engine|sources|sinks|clients|checkpoint-store|cli|bin)\/.*\.(?:ts|mjs)$/

/** Errors that no user meets under this name, and why; messages as {@link comparable} makes them. */
const UNMET: Readonly<Record<string, string>> = {
  'the attempt is over': 'reason of an abort: what ended the attempt is what is told',
  'the run is over': 'reason of an abort',
  'the job is canceled': 'reason of an abort: the run ends as CANCELED',
  'the host is closed': 'reason of an abort',
  'another task could not be opened': 'reason of an abort: why the other one could not is what is told',
  'something has happened': 'wakes a task that waits',
  'no split is wanted any more': 'reason of an abort',
  'it is answered': 'reason of an abort',
  'stopped by <>': 'reason of an abort: the run ends as STOPPED',
  'an fsync at the same time failed': 'cause of a SLUICE_STORE_IN_DOUBT that says the rest',
  'the other side went away within a frame': 'cause of a SLUICE_WORKER_LOST',
  "this version of sluice has no '<>', which <> imports": 'cause of a SLUICE_JOB_FILE_BROKEN, which says the same',
  [comparable(
    '<key> is not a store key: segments of [A-Za-z0-9._-], at most <n> characters each and <n> in all, ' +
      'joined by "/", none of them empty, "." or ".."',
  )]: 'keys are made by the engine from checked ids: met by authors of stores alone',
  [comparable(
    '<prefix> is not a store prefix: segments of [A-Za-z0-9._-], at most <n> characters each and <n> in all, ' +
      'joined by "/", none of them empty, "." or ".."; a prefix ends in "/"',
  )]: 'as keys',
  'lineage id <> is not valid': 'lineages are made by the engine; a checksum stands before every one that is read',
  '<> <> is not a positive integer': 'as lineages',
  'operator "<>" failed: <>': 'adds the operator to an error that keeps its code',
  'operator "<>": <>': 'adds the operator to an error that keeps its code',
  'source "<>": <>': 'adds the source to an error that keeps its code',
  '<>: <>': 'adds the source or sink to an error that keeps its code',
  'checkpoint <> cannot be restored: <>': 'adds the checkpoint to an error that keeps its code',
  'checkpoint <> is completed, but its commits cannot be read: <>; with --accept-loss <> too, if records of it may be missing for ever':
    'adds the checkpoint to an error that keeps its code',
}

/** Files that make an error anew from one that has its message and its code. */
const PASSED_ON: Readonly<Record<string, string>> = {
  'engine/api/errors.ts': 'what an assertion says, a bug of ours',
  'engine/coordinator/run-job.ts': 'the decision of the preflight, with its code',
  'engine/host/node-runtime.ts': 'what an abort signal gives as its reason and is no error',
  'engine/worker/error-codec.ts': 'an error of another process, with its code',
  'engine/worker/hosted-attempt.ts': 'what the other end of a lost connection said of it',
  'engine/worker/worker-process.ts': 'an error of another process, of a graver kind',
  'sources/file/source.ts': 'an error of the file system client, of a graver kind',
}

interface Entry {
  readonly code: string
  readonly messages: readonly string[]
  readonly text: string
}

/** What is wrong; empty: nothing is. */
export function errorPageProblems(tree: Tree): readonly string[] {
  const sites = [...tree].flatMap(([file, text]) => (PRODUCT.test(file) ? errorSitesOf(file, text) : []))
  const entries = entriesOf(tree.get(ERROR_PAGE) ?? '')
  return [
    ...sites.flatMap((site) => siteProblems(site, entries)),
    ...entries.flatMap((entry) => entryProblems(entry, sites)),
    ...repeated(entries.map(({ code }) => code)).map((code) => `${ERROR_PAGE}: ${code} has two entries`),
    ...repeated(entries.flatMap(({ messages }) => messages.map(comparable))).map(
      (message) => `${ERROR_PAGE}: "${message}" stands there twice`,
    ),
    ...forgivenInVain(sites),
  ]
}

function siteProblems({ place, kind, code, messages }: ErrorSite, entries: readonly Entry[]): readonly string[] {
  if (code === undefined) {
    if (messages.every((message) => isForgiven(place, message))) return []
    return [`${place}: "${messages.join('" or "')}" has no code: give it { code: 'SLUICE_…' }`]
  }
  const entry = entries.find((one) => one.code === code)
  if (entry === undefined) return [`${place}: ${code} is not in ${ERROR_PAGE}`]
  const stated = new Set(entry.messages.map(comparable))
  if (messages.some(isPlaceholder) && !Object.hasOwn(PASSED_ON, fileOf(place))) {
    return [
      `${place}: the message of this ${code} cannot be read off: write it where the error is made, under a name of its own`,
    ]
  }
  const missing = messages.filter((message) => !isPlaceholder(message) && !stated.has(comparable(message)))
  return [
    ...missing.map((message) => `${place}: this message is not under ${code} in ${ERROR_PAGE}: ${message}`),
    ...(kind === undefined || entry.text.includes(`\`${kind}\``) ? [] : [`${ERROR_PAGE}: ${code} is a ${kind} too`]),
  ]
}

function entryProblems({ code, messages, text }: Entry, sites: readonly ErrorSite[]): readonly string[] {
  const mine = sites.filter((site) => site.code === code)
  if (mine.length === 0) return [`${ERROR_PAGE}: nothing throws ${code}`]
  const thrown = new Set(mine.flatMap((site) => site.messages.map(comparable)))
  return [
    ...messages
      .filter((message) => !thrown.has(comparable(message)))
      .map((message) => `${ERROR_PAGE}: no message of ${code} is: ${message}`),
    ...(/exit code [0-9]/.test(text) ? [] : [`${ERROR_PAGE}: ${code} names no exit code`]),
  ]
}

function isForgiven(place: string, message: string): boolean {
  if (isPlaceholder(message)) return Object.hasOwn(PASSED_ON, fileOf(place))
  return Object.hasOwn(UNMET, comparable(message))
}

function forgivenInVain(sites: readonly ErrorSite[]): readonly string[] {
  const messages = new Set(sites.flatMap((site) => (site.code === undefined ? site.messages.map(comparable) : [])))
  const files = new Set(sites.filter((site) => site.messages.some(isPlaceholder)).map(({ place }) => fileOf(place)))
  return [
    ...Object.keys(UNMET).filter((message) => !messages.has(message)),
    ...Object.keys(PASSED_ON).filter((file) => !files.has(file)),
  ].map((one) => `the exception for "${one}" is not needed`)
}

/** `### CODE`, the messages as a text block (a line that is indented goes on the one before), and what they mean. */
function entriesOf(page: string): readonly Entry[] {
  return page
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [, code = '', rest = ''] = /^(\S+)\n([\s\S]*)/.exec(section) ?? []
      const [, block = '', text = ''] = /```text\n([\s\S]*?)```([\s\S]*)/.exec(rest) ?? []
      return { code, messages: block.replace(/\n +/g, ' ').split('\n').filter(Boolean), text }
    })
}

function isPlaceholder(message: string): boolean {
  return comparable(message) === '<>'
}

function fileOf(place: string): string {
  return place.replace(/:\d+$/, '')
}

function repeated(all: readonly string[]): readonly string[] {
  return all.filter((one, index) => all.indexOf(one) !== index)
}
