/**
 * Goes over entries of a key group while records flow on: at each step either a record, at its place as of now, or another entry.
 */
import { assert } from '../api/index.ts'
import { entriesOf, type Entry } from './entry.ts'
import type { DirtyList, KeyGroup } from './key-group-records.ts'
import { javaHash } from './key-group.ts'
import { WIDTH, type RecordPage, type RecordPlace } from './record-page.ts'

export interface SnapshotCursor extends RecordPlace {
  /** Undefined: the record at `page` and `at`. */
  readonly entry: Entry | undefined
  /** False at the end. */
  next(): boolean
}

/** Entries alone. */
export class EntryCursor implements SnapshotCursor {
  readonly page: RecordPage
  readonly at = -1
  entry: Entry | undefined
  readonly #entries: Iterator<Entry>

  constructor(group: KeyGroup, entries: Iterator<Entry>) {
    this.page = group.pageOf(0)
    this.#entries = entries
  }

  next(): boolean {
    const { done, value } = this.#entries.next()
    if (done === true) return false
    this.entry = value
    return true
  }
}

/** What was written in some epochs: an entry comes once for each of them. */
export class DirtyCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #group: KeyGroup
  readonly #lists: readonly DirtyList[]
  #list = 0
  #next = 0

  constructor(group: KeyGroup, lists: readonly DirtyList[]) {
    this.#group = group
    this.#lists = lists
    this.page = group.pageOf(0)
  }

  next(): boolean {
    for (let list = this.#lists[this.#list]; list !== undefined; list = this.#lists[this.#list]) {
      const index = this.#next
      this.#next += 1
      const { pages, places, entries } = list
      if (index < places.length) {
        this.entry = undefined
        moveTo(this, this.#group, pages[index], places[index])
        return true
      }
      this.entry = entries[index - places.length]
      if (this.entry !== undefined) return true
      this.#list += 1
      this.#next = 0
    }
    return false
  }
}

/** To a record by the place it had; it is looked for when its page was left. */
function moveTo(cursor: RecordPlace, group: KeyGroup, page: RecordPage | undefined, at: number | undefined): void {
  assert(page !== undefined && at !== undefined, () => 'a place without a page')
  cursor.page = page
  cursor.at = at
  if (!page.isLeft) return
  const key = page.keyAt(at)
  const isFound = group.find(key, javaHash(key), cursor)
  assert(isFound, () => `key ${JSON.stringify(key)} is lost from key group ${group.index}`)
}

/** Everything of the group that was there when the cursor was made, but for clears. */
export class GroupCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #group: KeyGroup
  readonly #pages: readonly RecordPage[]
  #pageNumber = 0
  #next = 0
  #below: Iterator<Entry> | undefined

  constructor(group: KeyGroup) {
    this.#group = group
    this.#pages = group.pages()
    this.page = group.pageOf(0)
  }

  next(): boolean {
    const below = this.#below?.next()
    if (below?.done === false) {
      this.entry = below.value
      return true
    }
    this.#below = undefined
    this.entry = undefined
    for (let page = this.#pages[this.#pageNumber]; page !== undefined; page = this.#pages[this.#pageNumber]) {
      while (this.#next < page.words.length) {
        const at = this.#next
        this.#next += WIDTH
        if (!page.isRecord(at)) continue
        this.#enter(page, at)
        return true
      }
      this.#pageNumber += 1
      this.#next = 0
    }
    return false
  }

  #enter(page: RecordPage, at: number): void {
    moveTo(this, this.#group, page, at)
    const parts = this.page.partsAt(this.at)
    if (parts?.bodies !== undefined) this.#below = entriesOf(parts)
  }
}
