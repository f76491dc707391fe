/**
 * The package as npm publishes it, built in a clean copy of what git tracks, and folders of users into which npm installs it. The registry is
 * asked only for what npm's cache does not hold.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'

const INSTALL = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-progress']

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What a user's shell has: Node first in PATH, and nothing of the npm or vitest that runs this test. */
export const userEnvironment: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(npm_(package|lifecycle|config_local_prefix|command)|VITEST|NODE_OPTIONS|NODE_ENV|FORCE_COLOR)/.test(name),
    ),
  ),
  NO_COLOR: '1',
  PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
}

export class Packed implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-package-'))
  /** A checkout of its own, with dist/. */
  readonly checkout = join(this.directory, 'checkout')
  readonly tarball: string

  constructor() {
    const tracked = execFileSync('git', ['ls-files', '-z', '--cached'], { encoding: 'utf8' }).split('\0')
    for (const file of tracked.filter((one) => one !== '' && existsSync(one))) cpSync(file, join(this.checkout, file))
    symlinkSync(resolve('node_modules'), join(this.checkout, 'node_modules'))
    mustRun(this.checkout, 'npm', 'run', 'build')
    mustRun(this.checkout, 'npm', 'pack', '--ignore-scripts', '--pack-destination', this.directory)
    this.tarball = join(this.directory, readdirSync(this.directory).find((name) => name.endsWith('.tgz')) ?? 'none')
  }

  /** A folder with the package installed in it. */
  install(name: string): string {
    const user = join(this.directory, name)
    mkdirSync(user)
    writeFileSync(join(user, 'package.json'), '{"type":"module"}')
    mustRun(user, 'npm', ...INSTALL, this.tarball)
    return user
  }

  /** Of a project that is there: what its package.json asks for, and this package. */
  installInto(project: string): void {
    mustRun(project, 'npm', ...INSTALL, this.tarball)
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export function run(cwd: string, program: string, ...argv: readonly string[]): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, argv, { cwd, encoding: 'utf8', env: userEnvironment })
  if (error !== undefined) throw error
  return { status, stdout, stderr }
}

export function mustRun(cwd: string, program: string, ...argv: readonly string[]): string {
  const { status, stdout, stderr } = run(cwd, program, ...argv)
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}
