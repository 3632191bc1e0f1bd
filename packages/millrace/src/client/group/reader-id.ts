/**
 * Readers of this client carry a mark in the ids by which a group knows them, so that all can tell who shows life and who, as
 * Java's readers, need not. No program can give an id with this mark, here or in Java: neither allows its first character.
 */

const MARK = '@millrace'

/** The reader's id as it stands in the group. */
export function markedReader(id: string): string {
  return id + MARK
}

export function isMarked(reader: string): boolean {
  return reader.endsWith(MARK)
}

/** The id as the program knows it. */
export function shownReader(reader: string): string {
  return isMarked(reader) ? reader.slice(0, -MARK.length) : reader
}
