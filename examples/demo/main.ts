/**
 * `npm run demo`: the orders job is killed again and again while orders come in, a reader watches what becomes visible, and DuckDB says
 * at the end whether every order came out exactly once. `npm run demo -- --help` lists what can be changed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '../../sources/generator/seeded-random.ts'
import { conclusionOf, isProven } from './conclusion.ts'
import type { DemoEvent } from './demo-event.ts'
import { interruptible } from '../interruptible.ts'
import { JobProblem } from '../running-job.ts'
import { INPUT, INTERVAL_MS, Lives } from './lives.ts'
import { HELP, parseOptions, type Options } from './options.ts'
import { createPaint, grouped, type Paint } from './paint.ts'
import { prove } from './proof.ts'
import type { ReaderReport } from './reader-line.ts'
import { SABOTAGES } from './saboteur.ts'
import { Shop } from './shop.ts'
import { TimelineFold } from './timeline.ts'
import { LineView, PictureView, type Shown, type View } from './view.ts'

const isTerminal = process.stdout.isTTY
const hasColor = isTerminal && process.stdout.hasColors() && process.env['NO_COLOR'] === undefined
const asked = parseOptions(process.argv.slice(2), hasColor)
if (asked.kind === 'help') {
  console.log(HELP)
} else if (asked.kind === 'wrong') {
  console.error(`${asked.why}\nnpm run demo -- --help lists the options.`)
  process.exitCode = 2
} else {
  process.exitCode = await interruptible(async (signal) => await run(asked.options, signal))
}

/** Resolves with the exit code. */
async function run(options: Options, signal: AbortSignal): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-demo-'))
  const paint = createPaint(options.color)
  console.log(introductionOf(options, paint))
  let isWell = false
  try {
    isWell = await demonstrate(options, { directory, paint, signal })
    return isWell ? 0 : 1
  } catch (error) {
    if (signal.aborted || !(error instanceof JobProblem)) throw error
    console.log(paint.bad(`WRONG: ${error.message}`))
    return 1
  } finally {
    // What was sabotaged is wrong as it should be.
    const isLeft = options.keep || (!isWell && options.sabotage === undefined && !signal.aborted)
    if (isLeft)
      console.log(`Input, output and store are in ${directory}; --seed ${options.seed} draws the same moments again.`)
    else rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface Place {
  readonly directory: string
  readonly paint: Paint
  readonly signal: AbortSignal
}

/** True: all is proven. @throws JobProblem; the signal's reason */
async function demonstrate(options: Options, { directory, paint, signal }: Place): Promise<boolean> {
  const { seed, records, seconds } = options
  const shop = new Shop({ file: join(directory, INPUT), seed, records, seconds })
  const fold = new TimelineFold()
  const random = new SeededRandom(seed).restartAt(0)
  const watched = async (): Promise<ReaderReport> => {
    using view = viewOf({ timeline: () => fold.timeline, written: () => shop.written, records, paint })
    const onEvent = (event: DemoEvent): void => {
      fold.take(event)
      view.event(event)
    }
    using lives = new Lives({ directory, options, shop, random: () => random.next(), onEvent, signal })
    return await lives.all()
  }
  const report = await watched()
  const facts = { timeline: fold.timeline, report, proof: await prove(directory), paint }
  signal.throwIfAborted()
  console.log(`\n${conclusionOf(facts).join('\n')}`)
  return isProven(facts)
}

function viewOf(shown: Shown): View {
  if (!isTerminal) return new LineView(shown, (line) => console.log(line))
  const { stdout } = process
  return new PictureView(shown, {
    get columns() {
      return stdout.columns
    },
    get rows() {
      return stdout.rows
    },
    write: (text) => stdout.write(text),
  })
}

function introductionOf({ seed, kills, records, sabotage }: Options, paint: Paint): string {
  const lines = [
    paint.strong(
      `A job is killed ${kills} times while ${grouped(records)} orders come in. Each must come out exactly once.`,
    ),
    '',
    '  A shop appends orders to a file. `sluice run examples/orders/job.ts` follows it in a process of its',
    `  own and adds up what each customer has paid, with a checkpoint every ${INTERVAL_MS} ms. It dies by SIGKILL`,
    '  at random moments and is started again. A reader looks at the visible output all the time; at the',
    '  end DuckDB compares output and input by SQL.',
    ...(sabotage === undefined ? [] : [`  ${paint.accent(`Sabotage: ${SABOTAGES[sabotage]}. This must be found.`)}`]),
    paint.faint(`  seed ${seed}`),
    '',
  ]
  return lines.join('\n')
}
