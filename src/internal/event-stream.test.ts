import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'

import { EventEnds } from './event-ends.ts'
import { EventStreamReader } from './event-stream.ts'
import type { EventStreamPart, ReceivedEvent } from './event-stream.ts'

interface Reading {
  readonly parts: readonly EventStreamPart[]
  readonly rest: Buffer
}

/** Reads octets, cut at these places. */
function read(octets: Buffer, cuts: readonly number[] = []): Reading {
  const reader = new EventStreamReader(1000)
  const places = [...new Set([0, ...cuts.map((cut) => cut % (octets.length + 1))])].toSorted((a, b) => a - b)
  const parts = places.flatMap((from, index) => reader.push(octets.subarray(from, places[index + 1])))
  return { parts, rest: reader.end() }
}

function eventsOf({ parts }: Reading): readonly ReceivedEvent[] {
  return parts.flatMap(({ event }) => event ?? [])
}

function all({ parts, rest }: Reading): Buffer {
  return Buffer.concat([...parts.map(({ octets }) => octets), rest])
}

describe('an event', () => {
  it.each<[name: string, text: string, ...events: ReceivedEvent[]]>([
    ['of one line', 'data: a\n\n', { data: 'a' }],
    ['with carriage returns', 'data: a\r\rdata: b\r\r', { data: 'a' }, { data: 'b' }],
    ['with both', 'id: 1\r\ndata: a\r\n\r\n', { id: '1', data: 'a' }],
    ['of several lines', 'data: a\ndata:\ndata: b\n\n', { data: 'a\n\nb' }],
    ['with all fields', 'event: x\nid: 1\nretry: 9\ndata: a\n\n', { event: 'x', id: '1', retry: 9, data: 'a' }],
    ['with its fields more than once', 'event:x\nid:1\nevent:y\nid:2\ndata:\n\n', { event: 'y', id: '2', data: '' }],
    ['with a type and an id that are empty', 'event\nid\ndata\n\n', { id: '', data: '' }],
    ['with an id that has a NUL', 'id: 1\nid: a\0b\ndata: a\n\n', { id: '1', data: 'a' }],
    ['with a retry that is no number', 'retry: 1\nretry: -2\nretry: 3s\nretry:\ndata: a\n\n', { retry: 1, data: 'a' }],
    ['with a retry beyond numbers', `retry: ${'9'.repeat(400)}\ndata: a\n\n`, { retry: 2 ** 53 - 1, data: 'a' }],
    ['with one space taken off', 'data:  a\ndata:b : c\n\n', { data: ' a\nb : c' }],
    ['with unknown fields', 'datax: 1\n data: 2\nData: 3\ndata: a\n\n', { data: 'a' }],
    ['with comments among its fields', ': before\ndata: a\n: one\n:two\n\n', { data: 'a', comment: 'one\ntwo' }],
    ['behind a BOM', '\uFEFFdata: a\n\n', { data: 'a' }],
    ['behind two BOMs, of which the second is of a name', '\uFEFF\uFEFFdata: a\n\ndata: b\n\n', { data: 'b' }],
    ['in other scripts', 'data: Ω😀\n\n', { data: 'Ω😀' }],
  ])('%s', (_name, text, ...events) => {
    expect(eventsOf(read(Buffer.from(text)))).toEqual(events)
  })

  it.each([
    '',
    '\n',
    '\n\n',
    ': ping\n\n',
    'id: 3\n\n',
    'retry: 5\n\n',
    'event: x\n\n',
    'datax\n\n',
    'data: a',
    'data: a\n',
  ])('is not there: %j', (text) => {
    expect(eventsOf(read(Buffer.from(text)))).toEqual([])
  })

  it('cannot be changed in place', () => {
    const [event] = eventsOf(read(Buffer.from('data: a\n\n')))
    expect(Object.isFrozen(event)).toBe(true)
  })

  it('that is no UTF-8 has U+FFFD there, and keeps its octets', () => {
    const octets = Buffer.from('data: \xff\xe2\x82 a\n\n', 'latin1')
    const reading = read(octets)
    expect(eventsOf(reading)).toEqual([{ data: '\uFFFD\uFFFD a' }])
    expect(all(reading)).toEqual(octets)
  })
})

describe('what belongs to no event', () => {
  const given = (...chunks: readonly string[]): string[][] => {
    const reader = new EventStreamReader(1000)
    return chunks.map((chunk) =>
      reader.push(Buffer.from(chunk, 'latin1')).map(({ octets }) => octets.toString('latin1')),
    )
  }

  it('is given out at once, also a comment that has no end yet', () => {
    expect(given(': pi', 'ng\n', '\n', '\r', '\n')).toEqual([[': pi'], ['ng\n'], ['\n'], ['\r'], ['\n']])
  })

  it('is held when it may be part of one', () => {
    expect(given('data: a\n', ': ping\n', '\n')).toEqual([[], [], ['data: a\n: ping\n\n']])
    expect(given('id: 1\n', '\n')).toEqual([[], ['id: 1\n\n']])
  })

  it('may be the beginning of a BOM', () => {
    expect(given('\xef', '\xbb', '\xbf', 'data: a\n\n')).toEqual([[], [], ['\xef\xbb\xbf'], ['data: a\n\n']])
    expect(given('\xef\xbb', ':\n')).toEqual([[], []])
  })
})

test('an event is given out with its CR, and the LF behind it is a tail', () => {
  const reader = new EventStreamReader(1000)
  expect(reader.push(Buffer.from('data: a\r\n\r'))).toMatchObject([{ event: { data: 'a' } }])
  expect(reader.push(Buffer.from('\ndata: b\r'))).toEqual([{ octets: Buffer.from('\n'), isTail: true }])
  expect(reader.push(Buffer.from('\n\r\n'))).toMatchObject([{ event: { data: 'b' } }])
  expect(reader.push(Buffer.from('\n'))).toEqual([{ octets: Buffer.from('\n') }])
})

test('what has come of an event is left at the end', () => {
  expect(read(Buffer.from('data: a\n\ndata: b\nid'), [12]).rest.toString()).toBe('data: b\nid')
  expect(read(Buffer.from('\uFEFF').subarray(0, 2)).rest).toEqual(Buffer.from([0xef, 0xbb]))
})

test('an event that is too long is refused, in one piece and in many', () => {
  const long = `data: ${'a'.repeat(1000)}\n\n`
  expect(() => read(Buffer.from(long))).toThrow('longer than 1000 octets')
  expect(() => read(Buffer.from(long), [500, 1005])).toThrow('longer than 1000 octets')
  expect(eventsOf(read(Buffer.from(`: ${'a'.repeat(2000)}\ndata: a\n\n`), [500]))).toEqual([{ data: 'a' }])
})

const line = fc.oneof(
  fc.constantFrom('data: a', 'data:', 'data', ': ping', ':', 'event: x', 'id: 7', 'retry: 5', '', '', 'x\xef\xbb\xbf'),
  fc.string({ unit: 'binary', maxLength: 5 }).map((text) => text.replace(/[\r\n]/g, '')),
)
const stream = fc
  .tuple(
    fc.constantFrom('', '\uFEFF', '\uFEFF\uFEFF', '\xef'),
    fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 }),
    fc.constantFrom('', 'data: cut', '\r'),
  )
  .map(([start, lines, end]) => Buffer.from(start + lines.map((pair) => pair.join('')).join('') + end))

test('all parts together are the octets that came, and the events are the same, wherever they are cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat()), (octets, cuts) => {
      const reading = read(octets, cuts)
      expect(all(reading)).toEqual(octets)
      expect(eventsOf(reading)).toEqual(eventsOf(read(octets)))
    }),
  )
})

test('every event is given out with the octet that ends it', () => {
  fc.assert(
    fc.property(stream, (octets) => {
      const singly = new EventStreamReader(1000)
      const ends = new EventEnds()
      for (const octet of octets) {
        const piece = Buffer.from([octet])
        const hasEvent = singly.push(piece).some(({ event }) => event)
        expect(hasEvent).toBe(ends.find(piece).length > 0)
      }
    }),
  )
})

test('the events are those that the specification finds', () => {
  fc.assert(
    fc.property(stream, (octets) => {
      expect(eventsOf(read(octets)).map(({ event = 'message', data }) => ({ event, data }))).toEqual(
        bySpecification(octets),
      )
    }),
  )
})

/** As section 9.2.6 puts it, of the whole stream at once. */
function bySpecification(octets: Buffer): { event: string; data: string }[] {
  const dispatched: { event: string; data: string }[] = []
  // The last piece has no line end, and is discarded.
  const lines = new TextDecoder()
    .decode(octets)
    .split(/\r\n|\r|\n/)
    .slice(0, -1)
  let data = ''
  let event = ''
  for (const text of lines) {
    if (text === '') {
      if (data !== '') dispatched.push({ event: event === '' ? 'message' : event, data: data.slice(0, -1) })
      data = ''
      event = ''
      continue
    }
    const [, name = text, value = ''] = /^([^:]*):? ?(.*)$/s.exec(text) ?? []
    if (text.startsWith(':')) continue
    if (name === 'data') data += `${value}\n`
    if (name === 'event') event = value
  }
  return dispatched
}
