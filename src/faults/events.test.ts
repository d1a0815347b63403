import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fault } from '../fault.ts'
import { duplicateEvent, malformedEvent } from './faults.ts'

/** Sends a text through a fault, cut at these places. */
async function through(
  fault: Fault,
  text: string,
  cuts: readonly number[] = [],
): Promise<{ out: string; acts: number }> {
  const [part] = fault.parts
  if (part?.stage !== 'stream') throw new TypeError(`${fault.name} changes no stream`)
  let acts = 0
  const { readable, writable } = part.open(() => acts++)
  const octets = Buffer.from(text, 'latin1')
  const places = [...new Set([0, ...cuts.map((cut) => cut % (octets.length + 1))])].toSorted((a, b) => a - b)
  const writer = writable.getWriter()
  const written = (async () => {
    for (const [index, from] of places.entries()) await writer.write(octets.subarray(from, places[index + 1]))
    await writer.close()
  })()
  const chunks: Uint8Array[] = []
  for await (const chunk of readable) chunks.push(chunk)
  await written
  return { out: Buffer.concat(chunks).toString('latin1'), acts }
}

const STREAM = ': hello\n\nid: 1\ndata: {"a":1}\n\nevent: x\r\ndata: b\r\ndata: c\r\n\r\ndata: d\n\nid: 9\n'

const changes: readonly [fault: Fault, from: string, to: string][] = [
  [duplicateEvent(), ': hello\n\nid: 1\ndata: {"a":1}\n\n', ': hello\n\nid: 1\ndata: {"a":1}\n\n'.repeat(2)],
  [duplicateEvent({ index: 2 }), 'data: d\n\n', 'data: d\n\ndata: d\n\n'],
  [malformedEvent(), 'data: {"a":1}\n', 'data: {"malformed":\n'],
  [malformedEvent({ index: 1 }), 'data: b\r\ndata: c\r\n', 'data: {"malformed":\r\n'],
  [malformedEvent({ index: 2, flaw: 'utf8' }), 'data: d', 'data: \xff\xfe\xc3'],
  [
    malformedEvent({ index: 1, flaw: 'field' }),
    'event: x\r\ndata: b\r\ndata: c\r\n',
    'malformed-event: x\r\nmalformed-data: b\r\nmalformed-data: c\r\n',
  ],
]

describe.each(changes)('$text', (fault, from, to) => {
  test('changes that event, wherever the octets are cut', async () => {
    const expected = { out: STREAM.replace(from, () => to), acts: 1 }
    expect(expected.out).not.toBe(STREAM)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat()), async (cuts) => {
        expect(await through(fault, STREAM, cuts)).toEqual(expected)
      }),
    )
  })

  test('leaves a stream without that event, and does not act', async () => {
    const text = ': hello\n\nid: 1\n\ndata: unfinished'
    expect(await through(fault, text, [5, 20])).toEqual({ out: text, acts: 0 })
  })
})

test('an event that is too long to be held passes unchanged', async () => {
  const text = `data: ${'a'.repeat(1024 * 1024)}\n\ndata: b\n\n`
  expect(await through(malformedEvent(), text, [100, 1024 * 1024 + 3])).toEqual({ out: text, acts: 0 })
})

test('a byte order mark before the first data stays', async () => {
  expect((await through(malformedEvent(), '\xef\xbb\xbfdata: a\n\n')).out).toBe('\xef\xbb\xbfdata: {"malformed":\n\n')
})

test('events before and behind pass as they come', async () => {
  const [part] = malformedEvent({ index: 1 }).parts
  if (part?.stage !== 'stream') throw new TypeError('no stream')
  const { readable, writable } = part.open(() => undefined)
  const writer = writable.getWriter()
  const reader = readable.getReader()
  const pass = async (text: string): Promise<string> => {
    const written = writer.write(Buffer.from(text))
    const { value } = await reader.read()
    await written
    return Buffer.from(value ?? []).toString()
  }
  expect(await pass('data: a\n\n')).toBe('data: a\n\n')
  expect(await pass('data: b\n\n')).toBe('data: {"malformed":\n\n')
  expect(await pass('dat')).toBe('dat')
})
