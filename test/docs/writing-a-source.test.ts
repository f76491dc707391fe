/** docs/writing-a-source.md, done: its source passes the conformance suite, its mistakes are found, its job is killed as it says. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { Workplace } from '../cli/command.ts'
import { sourceChecks, type AnySourceUnderTest } from '../conformance/source.ts'
import { mistakesOf, withMistake } from './mistakes.ts'
import { PostOffice, type Letter } from './post-office.ts'
import { SnippetProject } from './snippets.ts'

const markdown = readFileSync('docs/writing-a-source.md', 'utf8')
const project = new SnippetProject(markdown)
afterAll(() => project[Symbol.dispose]())

// As a reader would run it.
await import(join(project.directory, 'post-source.test.ts'))

describe('a mistake that the document shows is found by the checks that it names', () => {
  const mistakes = mistakesOf(markdown)

  test('there are some', () => {
    expect(mistakes.length).toBeGreaterThanOrEqual(3)
  })

  // Letters that never come are waited for until the kit gives up.
  test.concurrent.each(mistakes)('the one in line $line', async (mistake) => {
    using broken = new SnippetProject(withMistake(markdown, mistake))
    const { postEnvironment } = (await import(join(broken.directory, 'post-environment.ts'))) as {
      readonly postEnvironment: () => Promise<AnySourceUnderTest & AsyncDisposable>
    }
    const failing = await Promise.all(
      Object.entries(sourceChecks).map(async ([what, check]) => {
        await using environment = await postEnvironment()
        return await check(environment).then(
          () => [],
          () => [what],
        )
      }),
    )
    expect(failing.flat()).toEqual(mistake.named)
  })
})

interface Delivered extends Letter {
  readonly count: number
}

const ROUNDS = 6
const TRAYS = 4
const CLOSED_IN = 2
const AT_ONCE = 40
const DEADLINE_MS = 60_000

/** Lines of visible files. */
function delivered(place: Workplace): readonly Delivered[] {
  if (!existsSync(join(place.directory, 'out'))) return []
  return place.visible('out').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Delivered]))
}

async function until(fact: () => boolean, what: string): Promise<void> {
  for (const giveUpAt = performance.now() + DEADLINE_MS; !fact(); await sleep(20)) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
  }
}

test('its job is killed: each letter is delivered once, in order, and the office keeps no more than it must', async () => {
  using place = new Workplace()
  await using office = await PostOffice.start()
  const start = () => place.start('run', join(project.directory, 'post-job.ts'), '--set', `office=${office.url}`)
  const posted = new Map<string, number>()
  const post = (tray: string): void => {
    const first = posted.get(tray) ?? 0
    office.post(tray, ...Array.from({ length: AT_ONCE }, (_, index) => `letter ${first + index}`))
    posted.set(tray, first + AT_ONCE)
  }
  const count = (): number => [...posted.values()].reduce((sum, one) => sum + one, 0)

  for (let round = 0; round < ROUNDS; round += 1) {
    const job = start()
    // One that appears in each round, while the job runs.
    const first = round > CLOSED_IN ? 1 : 0
    for (let tray = first; tray < Math.min(TRAYS, round + 1); tray += 1) post(`tray-${tray}`)
    // Killed with some on their way.
    const before = count() - AT_ONCE
    await until(() => delivered(place).length >= before, `${before} letters in round ${round}`)
    if (round === CLOSED_IN) office.close('tray-0')
    office.isClosedToday = round % 2 === 1
    job.child.kill('SIGKILL')
    await job.ended
    office.isClosedToday = false
  }

  const job = start()
  await until(() => delivered(place).length >= count(), 'all letters')
  await until(() => office.released('tray-1') === posted.get('tray-1'), 'the office to let go')
  job.child.kill('SIGTERM')
  expect(await job.ended).toMatchObject({ code: 143 })
  const byTray = Object.groupBy(delivered(place), ({ tray }) => tray)
  expect(Object.keys(byTray).toSorted()).toEqual([...posted.keys()].toSorted())
  for (const [tray, letters = []] of Object.entries(byTray)) {
    const texts = Array.from({ length: posted.get(tray) ?? 0 }, (_, index) => `letter ${index}`)
    expect(letters.map(({ text }) => text)).toEqual(texts)
    expect(letters.map((letter) => letter.count)).toEqual(texts.map((_, index) => index + 1))
  }
})
