/**
 * The `sluice` command: parses, then loads only what the subcommand needs, so that it answers fast.
 */
import { Command, CommanderError } from 'commander'
import { EXIT_CODES, type Declare } from './commands/declaration.ts'
import { declareCancel } from './commands/cancel.ts'
import { declareCheckpoints } from './commands/checkpoints.ts'
import { declareDoctor } from './commands/doctor.ts'
import { declareInit } from './commands/init.ts'
import { declarePlan } from './commands/plan.ts'
import { declareRun } from './commands/run.ts'
import { declareStatus } from './commands/status.ts'
import { declareStop } from './commands/stop.ts'
import { packageVersion } from './version.ts'

/** In the order in which the help lists them. */
const DECLARATIONS: readonly Declare[] = [
  declareInit,
  declareRun,
  declarePlan,
  declareStatus,
  declareStop,
  declareCancel,
  declareCheckpoints,
  declareDoctor,
]

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
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    if (error instanceof CommanderError && error.code === 'commander.help') return 2
    const [{ refusalFields, refusalText, usageError }, { exitCodeOf }] = await Promise.all([
      import('./refusal.ts'),
      import('../engine/host/exit-code.ts'),
    ])
    const refusal = error instanceof CommanderError ? usageError(error.message, namedIn(argv, program)) : error
    const exitCode = exitCodeOf(refusal)
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify(refusalFields(refusal, exitCode))}\n`)
    else process.stderr.write(`${refusalText(refusal)}\n`)
    return exitCode
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
    // Said by `main`, in the shape of every other refusal.
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', EXIT_CODES)
  for (const declare of DECLARATIONS) declare(program, end)
  return program
}

/** The words of `argv` that are a command, as `checkpoints list`. */
function namedIn(argv: readonly string[], program: Command): string {
  const words = ['sluice']
  let command: Command | undefined = program
  for (const word of argv) {
    command = command.commands.find((one) => one.name() === word)
    if (command === undefined) break
    words.push(word)
  }
  return words.join(' ')
}

/** `sluice plan … | head`: who stops reading is no reason to fail, least of all for a running job. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
