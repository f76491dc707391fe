/** The rules of the house are lint rules; each is shown here to catch what it is there for. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'

interface Seed {
  readonly file: string
  readonly code: string
  /** Undefined: allowed. */
  readonly rule?: string
}

const imports = 'eslint(no-restricted-imports)'
const globals = 'eslint(no-restricted-globals)'
const properties = 'eslint(no-restricted-properties)'

const seeds: readonly Seed[] = [
  { file: 'engine/api/a.ts', code: `import { x } from '../graph/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/api/b.ts', code: `import { x } from 'msgpackr'\nvoid x`, rule: imports },
  { file: 'engine/api/c.ts', code: `import './x.ts'` },
  { file: 'engine/graph/a.ts', code: `import { x } from '../task/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/graph/b.ts', code: `import { x } from '../state/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/graph/c.ts', code: `import type { X } from '../state/x.ts'\nexport type Y = X` },
  {
    file: 'engine/checkpoint/a.ts',
    code: `import type { X } from '../coordinator/x.ts'\nexport type Y = X`,
    rule: imports,
  },
  { file: 'engine/checkpoint/b.ts', code: `import { x } from '../api/index.ts'\nvoid x` },
  { file: 'engine/state/a.ts', code: `import { Packr } from 'msgpackr'\nvoid Packr`, rule: imports },
  { file: 'engine/state/value-codec.ts', code: `import { Packr } from 'msgpackr'\nvoid Packr` },
  { file: 'engine/state/key-codec.ts', code: `import { x } from '../task/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/task/a.ts', code: `import { x } from '../coordinator/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/task/b.ts', code: `import { x } from '../state/x.ts'\nvoid x` },
  { file: 'engine/operators/a.ts', code: `import { x } from '../coordinator/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/coordinator/a.ts', code: `import { x } from '../../cli/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/coordinator/b.ts', code: `import { Client } from 'pg'\nvoid Client`, rule: imports },
  { file: 'engine/coordinator/e.ts', code: `import { x } from '../host/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/coordinator/f.ts', code: `import { x } from '../index.ts'\nvoid x`, rule: imports },
  { file: 'engine/coordinator/c.ts', code: `import { x } from '../task/x.ts'\nvoid x` },
  {
    file: 'engine/coordinator/d.ts',
    code: `import { setTimeout as s } from 'node:timers/promises'\nvoid s`,
    rule: imports,
  },
  { file: 'engine/coordinator/g.ts', code: `import { x } from '../worker/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/worker/a.ts', code: `import { x } from '../coordinator/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/worker/b.ts', code: `import { x } from '../host/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/worker/c.ts', code: `import { x } from '../../cli/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/worker/d.ts', code: `import { x } from 'msgpackr'\nvoid x`, rule: imports },
  { file: 'engine/worker/e.ts', code: `setTimeout(() => {}, 1)`, rule: globals },
  { file: 'engine/worker/f.ts', code: `import { x } from 'node:net'\nimport { y } from '../task/y.ts'\nvoid [x, y]` },
  { file: 'engine/task/h.ts', code: `import { x } from '../worker/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/state/b.ts', code: `import { x } from '../worker/x.ts'\nvoid x`, rule: imports },
  { file: 'engine/task/c.ts', code: `setTimeout(() => {}, 1)`, rule: globals },
  { file: 'engine/task/d.ts', code: `setInterval(() => {}, 1)`, rule: globals },
  { file: 'engine/task/e.ts', code: `setImmediate(() => {})`, rule: globals },
  { file: 'engine/task/f.ts', code: `export const now = Date.now()`, rule: properties },
  { file: 'engine/task/g.ts', code: `export const chance = Math.random()`, rule: properties },
  { file: 'engine/host/a.ts', code: `setTimeout(() => {}, Date.now() + Math.random())` },
  { file: 'sinks/file/a.ts', code: `import { x } from '../../engine/coordinator/x.ts'\nvoid x`, rule: imports },
  { file: 'sinks/file/b.ts', code: `import { x } from '../../engine/index.ts'\nvoid x`, rule: imports },
  { file: 'sinks/file/c.ts', code: `import { x } from '../kafka/x.ts'\nvoid x`, rule: imports },
  { file: 'sinks/file/d.ts', code: `import { x } from '../../sources/file/x.ts'\nvoid x`, rule: imports },
  {
    file: 'sinks/file/e.ts',
    code: `import { x } from '../../engine/api/index.ts'\nimport { y } from '../../clients/s3/y.ts'\nimport './f.ts'\nvoid [x, y]`,
  },
  { file: 'sources/file/a.ts', code: `import { x } from '../../cli/x.ts'\nvoid x`, rule: imports },
  { file: 'checkpoint-store/a.ts', code: `import { x } from '../engine/task/x.ts'\nvoid x`, rule: imports },
  { file: 'checkpoint-store/c.ts', code: `import { x } from '../clients/file/x.ts'\nvoid x` },
  { file: 'checkpoint-store/d.ts', code: `import { x } from '../sinks/file/x.ts'\nvoid x`, rule: imports },
  { file: 'clients/file/a.ts', code: `import { x } from '../../sinks/file/x.ts'\nvoid x`, rule: imports },
  { file: 'clients/file/b.ts', code: `import { x } from '../../checkpoint-store/x.ts'\nvoid x`, rule: imports },
  { file: 'clients/file/c.ts', code: `import { x } from '../../engine/task/x.ts'\nvoid x`, rule: imports },
  { file: 'clients/file/e.ts', code: `import { x } from '../../services/kafka/x.ts'\nvoid x`, rule: imports },
  { file: 'sinks/file/g.ts', code: `import { x } from '../../services/kafka/x.ts'\nvoid x`, rule: imports },
  { file: 'clients/file/d.ts', code: `import { x } from '../../engine/api/index.ts'\nvoid x` },
  { file: 'checkpoint-store/b.ts', code: `import { x } from '../engine/api/index.ts'\nvoid x` },
  { file: 'cli/any.ts', code: `export const x = JSON.parse('1') as any`, rule: 'typescript(no-explicit-any)' },
  { file: 'cli/bang.ts', code: `export const x = [1][0]!`, rule: 'typescript(no-non-null-assertion)' },
  { file: 'cli/default.ts', code: `export default 1`, rule: 'import(no-default-export)' },
  {
    file: 'cli/float.ts',
    code: `async function f(): Promise<void> {}\nf()`,
    rule: 'typescript(no-floating-promises)',
  },
  {
    file: 'cli/switch.ts',
    code: `export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1\n  }\n  return 2\n}`,
    rule: 'typescript(switch-exhaustiveness-check)',
  },
  {
    file: 'cli/long.ts',
    code: `export function f(): void {\n${'  f()\n'.repeat(70)}}`,
    rule: 'eslint(max-lines-per-function)',
  },
  { file: 'cli/lines.ts', code: 'export {}\n'.repeat(401), rule: 'eslint(max-lines)' },
  {
    file: 'cli/many.ts',
    code: `export const f = (a: 1, b: 1, c: 1, d: 1, e: 1) => [a, b, c, d, e]`,
    rule: 'eslint(max-params)',
  },
  {
    file: 'cli/cycle-a.ts',
    code: `import { b } from './cycle-b.ts'\nexport const a = (): number => b()`,
    rule: 'import(no-cycle)',
  },
  {
    file: 'cli/cycle-b.ts',
    code: `import { a } from './cycle-a.ts'\nexport const b = (): number => a()`,
    rule: 'import(no-cycle)',
  },
]

const root = mkdtempSync(join(tmpdir(), 'sluice-lint-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

test('every rule of the house catches its violation and lets the neighbour pass', () => {
  const found = lint()
  const wrong = seeds.flatMap(({ file, rule }) => {
    const rules = found.get(file) ?? []
    const isRight = rule === undefined ? rules.length === 0 : rules.includes(rule)
    return isRight ? [] : [{ file, expected: rule ?? 'nothing', rules }]
  })
  expect(wrong).toEqual([])
  expect(seeds.filter((seed) => seed.rule !== undefined).length).toBeGreaterThanOrEqual(30)
})

function lint(): ReadonlyMap<string, readonly string[]> {
  for (const config of ['.oxlintrc.json', 'tsconfig.json']) copyFileSync(config, join(root, config))
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'))
  for (const { file, code } of seeds) {
    mkdirSync(join(root, dirname(file)), { recursive: true })
    writeFileSync(join(root, file), code)
  }
  const report = JSON.parse(run()) as { diagnostics: { filename: string; code?: string }[] }
  const found = new Map<string, string[]>()
  for (const { filename, code } of report.diagnostics) {
    if (code !== undefined) found.set(filename, [...(found.get(filename) ?? []), code])
  }
  return found
}

/** oxlint exits with 1 when it finds something, which is what it is asked for here. */
function run(): string {
  try {
    return execFileSync(resolve('node_modules/.bin/oxlint'), ['--format=json'], { cwd: root, encoding: 'utf8' })
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string') return error.stdout
    throw error
  }
}
