/**
 * Goes over entries of a key group while records flow on: at each step either a record, at its place as of now, or another entry.
 */
import { assert } from '../api/index.ts'
import { entriesOf, type Entry } from './entry.ts'
import { isWorthScanning, type DirtyList, type KeyGroup } from './key-group-records.ts'
import { ProbeKey } from './probe-key.ts'
import type { RecordPage, RecordPlace } from './record-page.ts'

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

/** What was written in some epochs, an entry once for each of them; if that is much of the group, all its records instead. */
export class DirtyCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #group: KeyGroup
  readonly #lists: readonly DirtyList[]
  readonly #isScanned: boolean
  #records: RecordCursor | undefined
  #list = 0
  #next = 0

  constructor(group: KeyGroup, lists: readonly DirtyList[]) {
    this.#group = group
    this.#lists = lists
    this.page = group.pageOf(0)
    const recordCount = lists.reduce((sum, list) => sum + list.recordCount, 0)
    this.#isScanned = lists.some(({ isScanned }) => isScanned) || isWorthScanning(recordCount, group)
    if (this.#isScanned) this.#records = new RecordCursor(group)
  }

  next(): boolean {
    this.entry = undefined
    const records = this.#records
    if (records?.next() === true) {
      this.page = records.page
      this.at = records.at
      return true
    }
    this.#records = undefined
    for (let list = this.#lists[this.#list]; list !== undefined; list = this.#lists[this.#list]) {
      const index = this.#next
      this.#next += 1
      const recordCount = this.#isScanned ? 0 : list.places.length
      if (index < recordCount) {
        moveTo(this, this.#group, list.pages[index], list.places[index])
        return true
      }
      this.entry = list.entries[index - recordCount]
      if (this.entry !== undefined) return true
      this.#list += 1
      this.#next = 0
    }
    return false
  }
}

/** Every record that was there when the cursor was made, page by page. */
class RecordCursor implements RecordPlace {
  page: RecordPage
  at = -1
  readonly #group: KeyGroup
  readonly #pages: readonly RecordPage[]
  #pageNumber = 0
  #next = 0

  constructor(group: KeyGroup) {
    this.#group = group
    this.#pages = group.pages()
    this.page = group.pageOf(0)
  }

  next(): boolean {
    for (let page = this.#pages[this.#pageNumber]; page !== undefined; page = this.#pages[this.#pageNumber]) {
      while (this.#next < page.cellCount) {
        const at = this.#next
        this.#next += 1
        if (!page.isRecord(at)) continue
        moveTo(this, this.#group, page, at)
        return true
      }
      this.#pageNumber += 1
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
  const isFound = group.find(new ProbeKey().read(key), cursor)
  assert(isFound, () => `key ${JSON.stringify(key)} is lost from key group ${group.index}`)
}

/** Everything of the group that was there when the cursor was made, but for clears. */
export class GroupCursor implements SnapshotCursor {
  page: RecordPage
  at = -1
  entry: Entry | undefined
  readonly #records: RecordCursor
  #below: Iterator<Entry> | undefined

  constructor(group: KeyGroup) {
    this.#records = new RecordCursor(group)
    this.page = this.#records.page
  }

  next(): boolean {
    const below = this.#below?.next()
    if (below?.done === false) {
      this.entry = below.value
      return true
    }
    this.#below = undefined
    this.entry = undefined
    if (!this.#records.next()) return false
    this.page = this.#records.page
    this.at = this.#records.at
    const parts = this.page.partsAt(this.at)
    if (parts?.bodies !== undefined) this.#below = entriesOf(parts)
    return true
  }
}
