/** The API reference: each name that the package exports is described, and has a page. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { publicEntries, readReference, type Reference } from '../../docs/reference/reference.ts'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-docs-'))
const pages = join(scratch, 'pages')
let reference: Reference

beforeAll(async () => {
  reference = await readReference(publicEntries())
  await reference.write(pages)
}, 180_000)
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** The text of a page, as a reader sees it. */
function textOf(page: string): string {
  return readFileSync(join(pages, page), 'utf8').replace(/<[^>]*>/g, '')
}

test('everything that is exported is described, and every type that it names is there', () => {
  expect(reference.problems).toEqual([])
})

test('there is a module for each entry of the package, with what its file says of itself', () => {
  const names = publicEntries().map(({ name }) => name)
  expect(reference.project.children?.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
  expect(names).toEqual(expect.arrayContaining(['sluice', 'sluice/sources/file', 'sluice/conformance']))
  expect(textOf('modules/sluice_sinks_callback.html')).toContain('Calls a function with every batch, as it comes.')
})

test('every value that can be imported is in its module, and has a page of its own', async () => {
  let count = 0
  for (const { name, file } of publicEntries()) {
    if (name === 'sluice/conformance') continue
    const values = Object.keys((await import(file)) as object)
    const module = reference.project.children?.find((one) => one.name === name)
    expect(module?.children?.map((child) => child.name)).toEqual(expect.arrayContaining(values))
    const prefix = name.replaceAll(/[^a-z-]/g, '_')
    const written = ['functions', 'classes', 'variables'].flatMap((folder) => readdirSync(join(pages, folder)))
    for (const value of values) expect(written).toContain(`${prefix}.${value}.html`)
    count += values.length
  }
  expect(count).toBeGreaterThan(40)
})

test('a page says what the doc comment says', () => {
  expect(textOf('interfaces/sluice.SinkWriter.html')).toContain('a failure of the attempt, never a declined checkpoint')
})

test('what is not described is found, and what is named without being exported', { timeout: 180_000 }, async () => {
  const bare = join(scratch, 'bare.ts')
  const other = join(scratch, 'other.ts')
  writeFileSync(
    bare,
    '/** A file. */\ninterface Hidden { x: 1 }\nexport function shown(hidden: Hidden): void { void hidden }\n',
  )
  writeFileSync(other, '/** Another. */\n\n/** Described. */\nexport const one = 1\n')
  const tsconfig = join(scratch, 'tsconfig.json')
  writeFileSync(tsconfig, '{"include":["*.ts"]}')
  writeFileSync(join(scratch, 'package.json'), '{"name":"bare"}')
  const entries = [
    { name: 'bare', file: bare },
    { name: 'other', file: other },
  ]
  const { problems } = await readReference(entries, { tsconfig, notExported: [] })
  expect(problems).toEqual([
    expect.stringMatching(/^Hidden, .* is referenced by bare\.shown\.hidden but not included/),
    expect.stringMatching(/^bare\.shown .* does not have any documentation$/),
  ])
})
