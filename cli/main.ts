/**
 * The `sluice` command: parses, then loads only what the subcommand needs.
 */
import { Command, CommanderError } from 'commander'
import { messageOf } from '../engine/api/errors.ts'
import { exitCodeOf } from '../engine/host/exit-code.ts'
import type { RunFlags } from './run.ts'

const DEFAULT_STORE = '.sluice'

/** @param argv without `node` and the script; resolves with the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  let code = 0
  const program = new Command('sluice')
    .description('Exactly-once stream processing: runs job definitions, restarts them from the last checkpoint')
    .exitOverride()
    .helpCommand(false)
  program
    .command('run')
    .description('run a job until its input ends or it is stopped; goes on from the last checkpoint')
    .argument('<job>', 'the job file (job.ts)')
    .option('--store <uri>', 'checkpoint store: a directory or file: URI', DEFAULT_STORE)
    .option('--set <key=value>', 'a setting of the job; repeatable', collect, [])
    .option('--restore <what>', 'latest, a checkpoint number, or none', 'latest')
    .option(
      '--accept-duplicates',
      'with --restore of anything but the newest: what became visible since is written again',
    )
    .option('--accept-loss <checkpoint>', 'go on although commits of this checkpoint are lost')
    .option('--drop <operator>', 'give up the checkpointed part of an operator that is gone; repeatable', collect, [])
    .option('--take-over', 'fence a run that still lives')
    .option('--json', 'JSON lines on stdout')
    .action(async (job: string, flags: RunFlags) => {
      code = await (await import('./run.ts')).run(job, flags)
    })
  program
    .command('plan')
    .description('print the graph of a job: operators, edges, the guarantee of each path')
    .argument('<job>', 'the job file (job.ts)')
    .option('--set <key=value>', 'a setting of the job; repeatable', collect, [])
    .option('--json', 'as JSON')
    .action(async (job: string, flags: { readonly set: readonly string[]; readonly json?: boolean }) => {
      await (await import('./plan.ts')).plan(job, flags)
    })
  program
    .command('status')
    .description('what the store says of a job, whether a process runs it or not')
    .argument('<job>', 'the id of the job')
    .option('--store <uri>', 'checkpoint store: a directory or file: URI', DEFAULT_STORE)
    .option('--json', 'as JSON')
    .action(async (job: string, flags: { readonly store: string; readonly json?: boolean }) => {
      code = await (await import('./status.ts')).status(job, flags)
    })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`sluice: ${messageOf(error)}\n`)
    return exitCodeOf(error)
  }
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}
