/**
 * Seeded bugs, each by name: an edit of the engine's own source that the simulation must find. An edit that does not apply any more is an
 * error, so the list follows the code.
 */

export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const ATTEMPT = 'engine/coordinator/attempt.ts'
const PORT = 'engine/coordinator/port.ts'
const RECOVERY = 'engine/checkpoint/recovery.ts'
const LEFTOVERS = 'engine/coordinator/leftovers.ts'
const APPEND = 'engine/checkpoint/append.ts'
const OPEN_TASK = 'engine/task/open-task.ts'
const SOURCE_PORT = 'engine/task/source-port.ts'
const SINK_PORT = 'engine/task/sink-port.ts'

const COMMIT_DUE = "    ...due.map((checkpoint): RecoveryStep => ({ kind: 'commit', checkpoint })),\n"
const APPEND_COMPLETED = '    const entry = await log.append((seq, newest) =>'
const POSITION = 'this.#stateOf(polled.split).position = polled.after'

const edit = (file: string, find: string, replace: string): readonly Edit[] => [{ file, find, replace }]

/** Of what is the same with one task. */
const SERIAL: Readonly<Record<string, readonly Edit[]>> = {
  'commit before completion': edit(
    PORT,
    APPEND_COMPLETED,
    `    await this.commit({ permit: { checkpoint, generation, sourcePositions: [] } as never, manifest, oldestRetained: manifest })\n${APPEND_COMPLETED}`,
  ),
  'due commits skipped at recovery': edit(RECOVERY, COMMIT_DUE, ''),
  'abort instead of commit at recovery': [
    ...edit(RECOVERY, COMMIT_DUE, ''),
    ...edit(LEFTOVERS, 'const keep = retained.all().map((one) => one.manifest)', 'const keep: Manifest[] = []'),
  ],
  'leftovers not aborted': edit(
    LEFTOVERS,
    'return this.#abort(permitToAbort(entry), entry, entry.generation)',
    'return true',
  ),
  'keyed state not restored': edit(
    OPEN_TASK,
    'await restoreKeyedState(backend, { checkpoint, handles,',
    'await restoreKeyedState(backend, { checkpoint, handles: [],',
  ),
  'writer state not restored': edit(
    OPEN_TASK,
    '    const restored = writerStateOf(node, parts, {',
    '    const restored: readonly unknown[] = []; void writerStateOf(node, [], {',
  ),
  'counts of records not restored': edit(OPEN_TASK, 'sum + records, 0)', 'sum + 0 * records, 0)'),
  'position one too far': edit(SOURCE_PORT, POSITION, `${POSITION} as number + 1`),
  'position one too near': edit(SOURCE_PORT, POSITION, `${POSITION} as number - 1`),
  'a new split is read, but not in the cut': [
    ...edit(
      SOURCE_PORT,
      'this.#splits.set(one.split.id, { ...one })',
      'this.#splits.set(one.split.id, Object.assign({ isNew: true }, one))',
    ),
    ...edit(
      SOURCE_PORT,
      'return { splits: [...this.#splits.values()].map(',
      "return { splits: [...this.#splits.values()].filter((state) => !('isNew' in state)).map(",
    ),
  ],
  'swallowed commit error': edit(
    'engine/coordinator/committing.ts',
    "return requests.map(() => ({ kind: 'unknown', cause }))",
    "return requests.map(() => ({ kind: 'committed' }))",
  ),
  'unclear commit taken for committed': edit(
    'engine/checkpoint/commit-outcome.ts',
    'cause = outcome.cause\n        indexes.push(index)\n        break\n      default:',
    'cause = outcome.cause\n        break\n      default:',
  ),
  'end of input not in the cut': edit('engine/task/checkpoints.ts', 'ended: ended.has(id)', 'ended: false'),
  'settled before durable': edit(
    ATTEMPT,
    'this.#committedThrough = event.checkpoint\n',
    "this.#committedThrough = event.checkpoint\n        this.#options.tell({ kind: 'settled', through: event.checkpoint })\n",
  ),
  'forgotten before durable': edit(
    PORT,
    'await commitCheckpoint(permit, manifest, sinks, commitEnvironment)',
    'await commitCheckpoint(permit, manifest, sinks, commitEnvironment); this.#forget(manifest.checkpoint)',
  ),
  'forgotten at recovery before the log says committed': edit(
    RECOVERY,
    COMMIT_DUE,
    `${COMMIT_DUE}    ...only(all.length > 0, { kind: 'forget', checkpoints: all }),\n`,
  ),
  'retired before the entry is durable': edit(
    PORT,
    APPEND_COMPLETED,
    `    retained.drop(choice.retired)\n    await retained.collect()\n${APPEND_COMPLETED}`,
  ),
  'committables of an abandoned checkpoint dropped': edit(
    SINK_PORT,
    'const id = parseCheckpointId(checkpoint)\n    try {',
    'const id = parseCheckpointId(checkpoint)\n    this.#carried.length = 0\n    try {',
  ),
  'names without the generation': edit('engine/task/external-name.ts', 'pad(generation, 8)', 'pad(1, 8)'),
  'sweep by list': edit('engine/checkpoint/sweep.ts', 'owner < sweeper && ', ''),
  'a fenced generation goes on': edit(
    APPEND,
    "return { kind: 'fenced', by: found.generation }",
    "return { kind: 'try-next' }",
  ),
  'an entry whose reply was lost is appended again': edit(
    APPEND,
    "return { kind: 'appended', replyWasLost: true }",
    "return { kind: 'try-next' }",
  ),
  'commits of two checkpoints side by side': edit(ATTEMPT, 'if (this.#committing) return\n', ''),
  'no bound of uncommitted epochs': edit(
    'engine/checkpoint/trigger.ts',
    "if (facts.uncommitted >= policy.maxUncommittedEpochs) return { kind: 'wait', for: 'commits' }",
    '',
  ),
  'ended before the last forget': edit(
    'engine/coordinator/generation.ts',
    'await Promise.all([scope.storeChores.finish(), scope.sinkChores.finish()])',
    '',
  ),
  'ended before the last commit': edit(
    ATTEMPT,
    'this.#last !== undefined && this.#settledThrough >= this.#last.checkpoint',
    'this.#last !== undefined',
  ),
  'source acknowledged to the newest checkpoint': edit(
    PORT,
    'oldestRetained: retained.oldest ?? manifest',
    'oldestRetained: manifest',
  ),
  'checkpoint numbers begin anew': edit(PORT, 'nextCheckpoint: checkpoint + 1', 'nextCheckpoint: 1'),
  'due checkpoints are not retained': edit(
    'engine/checkpoint/retention.ts',
    'index >= firstKept || one.checkpoint > committedThrough',
    'index >= firstKept',
  ),
  'unclean scopes grow with every start': edit(
    'engine/coordinator/entries.ts',
    'mergeScopes(newest)',
    'newest.unclean',
  ),
}

const ALIGNMENT = 'engine/task/alignment.ts'
const CHECKPOINTS = 'engine/task/checkpoints.ts'
const COLLECTION = 'engine/coordinator/collection.ts'
const TASK = 'engine/task/task.ts'

/**
 * Of what only many tasks have. The simulation does not find that a newer barrier does not cancel an alignment (checkpoints then come later,
 * and nothing else is wrong: test/task/alignment.test.ts finds it), nor that an ended input holds one up (its barriers come, too).
 */
const PARALLEL: Readonly<Record<string, readonly Edit[]>> = {
  'counts restored in every subtask': edit(
    OPEN_TASK,
    '  if (subtask !== 0) return { records: 0,',
    '  if (subtask < 0) return { records: 0,',
  ),
  'alignment does not block': edit(ALIGNMENT, 'return this.#delivered.has(input)\n', 'return this.#inputs < 0\n'),
  'closing output of every subtask': edit(
    TASK,
    'this.#options.id.subtask !== 0 || closed.has(operator)',
    'closed.has(operator)',
  ),
  'an end is told while a checkpoint is in flight': edit(
    ATTEMPT,
    '  #endSources(): void {\n    if (this.#flight !== undefined) return\n',
    '  #endSources(): void {\n',
  ),
  'a drain is told while a checkpoint is in flight': edit(
    ATTEMPT,
    "this.#drain !== 'asked' || this.#flight !== undefined ||",
    "this.#drain !== 'asked' ||",
  ),
  'a drain ends the first subtask only': edit(
    TASK,
    'this.#isExhausted ||= source !== undefined',
    'this.#isExhausted ||= source !== undefined && this.#options.id.subtask === 0',
  ),
  'a cut before an end that was told before its trigger': [
    ...edit(TASK, 'if (this.#isEndDue) return this.#end()\n', ''),
    ...edit(
      TASK,
      'if (this.#checkpoints.isDue) await this.#cut()\n',
      'if (this.#checkpoints.isDue) await this.#cut()\n    else if (this.#isEndDue) return this.#end()\n',
    ),
    ...edit(TASK, 'this.#isEndDue || !this.#checkpoints.isDue', '!this.#checkpoints.isDue'),
  ],
  'completion is not learnt from the base of a barrier': edit(
    CHECKPOINTS,
    'barrier.base !== null && barrier.base === this.#acknowledged?.checkpoint',
    'barrier.checkpoint < 0 && barrier.base !== null',
  ),
  'a completion that is told twice counts twice': edit(CHECKPOINTS, 'if (checkpoint <= this.#completed) return\n', ''),
  'a late answer counts for a newer checkpoint': edit(
    COLLECTION,
    'if (part.checkpoint < this.#checkpoint) return undefined\n',
    '',
  ),
  'positions of one old subtask only': edit(
    'engine/coordinator/splits.ts',
    'const known = parts.flatMap(',
    'const known = parts.slice(0, 1).flatMap(',
  ),
  'splits of one subtask are lost': edit(
    'engine/task/share.ts',
    'shares[subtask]?.push(split)',
    'if (parallelism === 1 || subtask > 0) shares[subtask]?.push(split)',
  ),
  'keyed state of one old subtask only': edit(
    OPEN_TASK,
    'const handles = this.#restoredOf(node.id).flatMap(',
    'const handles = this.#restoredOf(node.id).slice(0, 1).flatMap(',
  ),
  'writer state is given to all': edit(
    OPEN_TASK,
    'const mine = shareOf(held, me)',
    'const mine = held.flatMap(({ entries }) => entries)',
  ),
  'operator state is given to all': edit(
    'engine/state/operator-state.ts',
    'return shareOf(parts, me).map((value)',
    'return parts.flatMap(({ entries }) => entries).map((value)',
  ),
  'broadcast state is not restored': edit(
    'engine/state/operator-state.ts',
    'return (parts[0]?.entries ?? []).map((value) => ({ value, isMine: true }))',
    'return []',
  ),
  'credit is ignored': edit(
    'engine/task/output-port.ts',
    'writers.every((writer) => writer.hasCredit)',
    'writers.length > 0',
  ),
  'commits ordered by subtask': edit(
    'engine/coordinator/committing.ts',
    'return a.checkpoint - b.checkpoint || a.generation - b.generation || a.subtask - b.subtask',
    'return a.subtask - b.subtask || a.checkpoint - b.checkpoint || a.generation - b.generation',
  ),
  'a checkpoint completes without one of its tasks': edit(
    COLLECTION,
    'if (this.#parts.size < this.#tasks) return undefined',
    'if (this.#parts.size < Math.max(1, this.#tasks - 1)) return undefined',
  ),
  'answers for an older checkpoint count for a newer one': edit(
    COLLECTION,
    'this.#checkpoint = part.checkpoint\n      this.#parts = new Map()',
    'this.#checkpoint = part.checkpoint',
  ),
}

export const MUTANTS = { ...SERIAL, ...PARALLEL }
