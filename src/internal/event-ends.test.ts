import fc from 'fast-check'
import { expect, test } from 'vitest'

import { EventEnds } from './event-ends.ts'

/** Cuts a text into events, of pieces cut anywhere. */
function events(text: string, cuts: readonly number[] = [], isChunked = false): string[] {
  const octets = Buffer.from(text, 'latin1')
  const finder = new EventEnds({ isChunked })
  const ends: number[] = []
  const places = [...new Set([0, ...cuts.map((cut) => cut % (octets.length + 1)), octets.length])].toSorted(
    (a, b) => a - b,
  )
  for (const [index, from] of places.entries()) {
    const piece = octets.subarray(from, places[index + 1])
    ends.push(...finder.find(piece).map((end) => from + end))
  }
  return ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end))
}

test.each([
  ['line feeds', 'data: a\n\ndata: b\n\n', ['data: a\n\n', 'data: b\n\n']],
  ['carriage returns', 'data: a\r\rdata: b\r\r', ['data: a\r\r', 'data: b\r\r']],
  ['both', 'data: a\r\n\r\nid: 1\r\ndata\r\n\r\n', ['data: a\r\n\r\n', 'id: 1\r\ndata\r\n\r\n']],
  ['a byte order mark', '\xef\xbb\xbfdata: a\n\n', ['\xef\xbb\xbfdata: a\n\n']],
  ['several data lines', 'data: a\ndata: b\n\n', ['data: a\ndata: b\n\n']],
])('EventEnds finds events with %s', (_name, text, expected) => {
  expect(events(text)).toEqual(expected)
})

test('comments, blocks without data and unfinished events are not counted', () => {
  expect(events(': ping\n\nid: 3\n\ndatax: 1\n\n\n\ndata: a\n')).toEqual([])
  expect(events(': ping\n\ndata: a\n\n')).toEqual([': ping\n\ndata: a\n\n'])
})

const line = fc.constantFrom('data: a', 'data:', 'data', ': ping', 'event: x', 'id: 7', '')
const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n')), { maxLength: 20 })

test('events are found wherever the octets are cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat()), (lines, cuts) => {
      const text = lines.map(([content, end]) => content + end).join('')
      const lengths = (found: readonly string[]): number => found.length
      expect(lengths(events(text, cuts))).toBe(lengths(events(text)))
    }),
  )
})

test('chunk lines are no part of the events, wherever chunks and octets are cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat()), fc.array(fc.nat()), (lines, chunkCuts, cuts) => {
      const text = lines.map(([content, end]) => content + end).join('')
      const places = [...new Set([0, ...chunkCuts.map((cut) => cut % (text.length + 1)), text.length])].toSorted(
        (a, b) => a - b,
      )
      const chunks = places
        .map((from, index) => text.slice(from, places[index + 1]))
        .filter((chunk) => chunk !== '')
        .map((chunk) => `${chunk.length.toString(16)};x=1\r\n${chunk}\r\n`)
      const found = events(`${chunks.join('')}0\r\ndata: trailer\r\n\r\n`, cuts, true)
      expect(found.length).toBe(events(text).length)
    }),
  )
})

test('an event ends in its chunk, before the line end of the chunk', () => {
  expect(events('9\r\ndata: a\n\n\r\n0\r\n\r\n', [], true)).toEqual(['9\r\ndata: a\n\n'])
  expect(events('8\r\ndata:a\n\r\r\n0\r\n\r\n', [], true)).toEqual(['8\r\ndata:a\n\r'])
  expect(events('9\r\ndata:a\n\r\n\r\n0\r\n\r\n', [], true)).toEqual(['9\r\ndata:a\n\r\n'])
})
