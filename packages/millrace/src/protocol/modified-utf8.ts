/**
 * Java's modified UTF-8 (java.io.DataOutput.writeUTF, without the length): NUL takes two bytes, and a character outside of
 * the basic plane is two surrogates of three bytes each, so that no zero byte and no four-byte form occurs.
 */

/** How many bytes `text` takes. */
export function modifiedUtf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7ff) length += 2
    else if (unit > 0x7f || unit === 0) length += 1
  }
  return length
}

/** Writes `text` at `position` and returns the position behind it. `length` is what `modifiedUtf8Length` said. */
export function writeModifiedUtf8(target: Buffer, text: string, position: number, length: number): number {
  if (length === text.length) {
    target.write(text, position, length, 'latin1')
    return position + length
  }
  let at = position
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7ff) {
      target[at++] = 0xe0 | (unit >> 12)
      target[at++] = 0x80 | ((unit >> 6) & 0x3f)
      target[at++] = 0x80 | (unit & 0x3f)
    } else if (unit > 0x7f || unit === 0) {
      target[at++] = 0xc0 | (unit >> 6)
      target[at++] = 0x80 | (unit & 0x3f)
    } else {
      target[at++] = unit
    }
  }
  return at
}

/** Reads the bytes from `start` to `end`; undefined if they are no modified UTF-8. */
export function readModifiedUtf8(source: Buffer, start: number, end: number): string | undefined {
  let at = start
  while (at < end && source[at]! < 0x80) at++
  if (at === end) return source.toString('latin1', start, end)
  const units: string[] = [source.toString('latin1', start, at)]
  while (at < end) {
    const first = source[at]!
    const left = end - at
    if (first < 0x80) {
      units.push(String.fromCharCode(first))
      at += 1
    } else if (first >> 5 === 0b110 && left >= 2 && isContinuation(source[at + 1])) {
      units.push(String.fromCharCode(((first & 0x1f) << 6) | (source[at + 1]! & 0x3f)))
      at += 2
    } else if (
      first >> 4 === 0b1110 &&
      left >= 3 &&
      isContinuation(source[at + 1]) &&
      isContinuation(source[at + 2])
    ) {
      const unit = ((first & 0x0f) << 12) | ((source[at + 1]! & 0x3f) << 6) | (source[at + 2]! & 0x3f)
      units.push(String.fromCharCode(unit))
      at += 3
    } else {
      return undefined
    }
  }
  return units.join('')
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
