/**
 * The `sluice` command: parses, then loads only what the subcommand needs, so that it answers fast.
 */
import { Command, CommanderError } from 'commander'
import type { PlanFlags } from './plan.ts'
import type { RunFlags } from './run.ts'
import type { StatusFlags } from './status.ts'
import { packageVersion } from './version.ts'

const DEFAULT_STORE = '.sluice'

const EXIT_CODES = `
Exit codes of run:
  0         finished or stopped
  1         failed
  2         wrong usage, or refused before anything was changed
  3         another process runs the job, or has taken it over
  130, 143  stopped cleanly by SIGINT, SIGTERM (a second one exits at once)`

const RUN_EXAMPLES = `
Examples:
  sluice run job.ts --set input='data/*.ndjson' --set output=out
  sluice run job.ts                       goes on from the last checkpoint, with the settings of the last run
  sluice run job.ts --workers 4           tasks in four processes; one that dies is replaced
  sluice run job.ts --restore 41 --accept-duplicates
  sluice run job.ts --drop old-totals     the job was edited, "old-totals" is no more`

/** @param argv without `node` and the script; resolves with the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  process.stdout.on('error', ignoreClosedPipe)
  process.stderr.on('error', ignoreClosedPipe)
  let code = 0
  const program = createProgram((ended) => {
    code = ended
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const [{ messageOf }, { exitCodeOf }] = await Promise.all([
      import('../engine/api/errors.ts'),
      import('../engine/host/exit-code.ts'),
    ])
    process.stderr.write(`sluice: ${messageOf(error)}\n`)
    return exitCodeOf(error)
  } finally {
    process.stdout.off('error', ignoreClosedPipe)
    process.stderr.off('error', ignoreClosedPipe)
  }
}

function createProgram(end: (code: number) => void): Command {
  const program = new Command('sluice')
    .description(
      'Exactly-once stream processing: runs a job from its last checkpoint until its input ends or it is stopped.',
    )
    .version(packageVersion())
    .exitOverride()
    .helpCommand(false)
    .showHelpAfterError('(sluice --help shows what there is)')
    .addHelpText('after', EXIT_CODES)
  program
    .command('run')
    .addHelpText('after', `${RUN_EXAMPLES}\n${EXIT_CODES}`)
    .description('run a job until its input ends or it is stopped; goes on from the last checkpoint')
    .argument('<job>', 'the job file (job.ts)')
    .option('--store <uri>', 'checkpoint store: a directory or a URI', DEFAULT_STORE)
    .option('--set <key=value>', 'a setting of the job; repeatable', collect)
    .option('--restore <what>', 'latest, a checkpoint number, or none', 'latest')
    .option(
      '--accept-duplicates',
      'with --restore of anything but the newest: what became visible since is written again',
    )
    .option('--accept-loss <checkpoint>', 'go on although commits of this checkpoint are lost')
    .option('--drop <operator>', 'give up the checkpointed part of an operator that is gone; repeatable', collect)
    .option('--workers <n>', 'run the tasks in so many processes of their own; default: all in this one')
    .option('--take-over', 'fence a run that still lives')
    .option(
      '--parallelism <number>',
      'subtasks of each operator that names no number of its own (default: what the job says, or 1)',
    )
    .option('--json', 'events as JSON lines on stdout, logs as JSON lines on stderr')
    .action(async (job: string, flags: RunFlags) => end(await (await import('./run.ts')).run(job, flags)))
  program
    .command('plan')
    .description('print the graph of a job: operators, edges, the guarantee of each path, the tasks it runs as')
    .argument('<job>', 'the job file (job.ts)')
    .option('--set <key=value>', 'a setting of the job; repeatable', collect)
    .option('--parallelism <n>', 'subtasks of operators that name no number; left out: what the job says')
    .option('--json', 'as JSON')
    .action(async (job: string, flags: PlanFlags) => (await import('./plan.ts')).plan(job, flags))
  program
    .command('status')
    .description('what the store says of a job, whether a process runs it or not')
    .argument('<job>', 'the id of the job, or its job file')
    .option('--store <uri>', 'checkpoint store: a directory or a URI', DEFAULT_STORE)
    .option('--json', 'as JSON')
    .action(async (job: string, flags: StatusFlags) => (await import('./status.ts')).status(job, flags))
  return program
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** `sluice plan … | head`: who stops reading is no reason to fail, least of all for a running job. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
