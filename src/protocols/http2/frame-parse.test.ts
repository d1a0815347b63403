import fc from 'fast-check'
import { expect, test } from 'vitest'

import { FrameParser } from './frame-parse.ts'
import {
  writeData,
  writeFrame,
  writeFrameHead,
  writeGoAway,
  writeHeaders,
  writePing,
  writePushPromise,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from './frame-write.ts'
import { FLAG, FRAME, PREFACE } from './frame.ts'

interface Found {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: string
}

/** All frames in some chunks; parts of one are put together. */
function framesOf(chunks: readonly Buffer[], parser: FrameParser = new FrameParser()): Found[] {
  const found: Found[] = []
  let payload: Buffer[] = []
  for (const chunk of chunks) {
    parser.push(chunk)
    while (parser.next()) {
      expect(parser.offset).toBe(Buffer.concat(payload).length)
      expect(parser.isFirst).toBe(parser.offset === 0)
      payload.push(Buffer.from(parser.octets.subarray(parser.start, parser.end)))
      if (!parser.isLast) continue
      const { type, flags, streamId, length } = parser
      expect(Buffer.concat(payload)).toHaveLength(length)
      found.push({ type, flags, streamId, payload: Buffer.concat(payload).toString('latin1') })
      payload = []
    }
  }
  return found
}

const EVERY_KIND = Buffer.concat([
  writeSettings([
    [1, 0],
    [5, 20_000],
  ]),
  writeSettingsAck(),
  writeHeaders(1, Buffer.from('block'), { maxFrameBytes: 2, endStream: true }),
  writeData(1, Buffer.from('hello'), { padding: 3 }),
  writeData(1, Buffer.alloc(0), { endStream: true }),
  writeFrame({ type: 0xfa, flags: 0xff, streamId: 0x7fffffff, payload: Buffer.from('unknown') }),
  writeFrame({ type: 0xfb }),
  writePushPromise(1, 2, Buffer.from('promise')),
  writePing(Buffer.from('12345678')),
  writePing(Buffer.from('12345678'), true),
  writeWindowUpdate(0, 77),
  writeReset(1, 8),
  writeFrame({ type: FRAME.priorityUpdate, payload: Buffer.from('\0\0\0\x01u=1', 'latin1') }),
  writeGoAway(1, 2, Buffer.from('debug')),
])

const EXPECTED: readonly Found[] = [
  { type: FRAME.settings, flags: 0, streamId: 0, payload: '\0\x01\0\0\0\0\0\x05\0\0\x4e\x20' },
  { type: FRAME.settings, flags: FLAG.ack, streamId: 0, payload: '' },
  { type: FRAME.headers, flags: FLAG.endStream, streamId: 1, payload: 'bl' },
  { type: FRAME.continuation, flags: 0, streamId: 1, payload: 'oc' },
  { type: FRAME.continuation, flags: FLAG.endHeaders, streamId: 1, payload: 'k' },
  { type: FRAME.data, flags: FLAG.padded, streamId: 1, payload: '\x03hello\0\0\0' },
  { type: FRAME.data, flags: FLAG.endStream, streamId: 1, payload: '' },
  { type: 0xfa, flags: 0xff, streamId: 0x7fffffff, payload: 'unknown' },
  { type: 0xfb, flags: 0, streamId: 0, payload: '' },
  { type: FRAME.pushPromise, flags: FLAG.endHeaders, streamId: 1, payload: '\0\0\0\x02promise' },
  { type: FRAME.ping, flags: 0, streamId: 0, payload: '12345678' },
  { type: FRAME.ping, flags: FLAG.ack, streamId: 0, payload: '12345678' },
  { type: FRAME.windowUpdate, flags: 0, streamId: 0, payload: '\0\0\0M' },
  { type: FRAME.reset, flags: 0, streamId: 1, payload: '\0\0\0\x08' },
  { type: FRAME.priorityUpdate, flags: 0, streamId: 0, payload: '\0\0\0\x01u=1' },
  { type: FRAME.goAway, flags: 0, streamId: 0, payload: '\0\0\0\x01\0\0\0\x02debug' },
]

test('finds frames of every kind in one chunk', () => {
  const parser = new FrameParser()
  expect(framesOf([EVERY_KIND], parser)).toEqual(EXPECTED)
  expect(parser.isAtBoundary).toBe(true)
})

test('finds the same frames wherever the octets are cut', () => {
  for (let at = 0; at <= EVERY_KIND.length; at++) {
    expect(framesOf([EVERY_KIND.subarray(0, at), EVERY_KIND.subarray(at)])).toEqual(EXPECTED)
  }
  expect(framesOf([...EVERY_KIND].map((octet) => Buffer.from([octet])))).toEqual(EXPECTED)
})

test('finds the frames that were written, however they are cut', () => {
  const frame = fc.record({
    type: fc.nat(0xff),
    flags: fc.nat(0xff),
    streamId: fc.nat(0x7fffffff),
    payload: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.nat(500)), (frames, places) => {
      const octets = Buffer.concat(frames.map(writeFrame))
      const cuts = [0, ...places.map((place) => place % (octets.length + 1)), octets.length].toSorted((a, b) => a - b)
      const chunks = cuts.slice(1).map((to, at) => octets.subarray(cuts[at], to))
      expect(framesOf(chunks)).toEqual(
        frames.map(({ payload, ...rest }) => ({ ...rest, payload: Buffer.from(payload).toString('latin1') })),
      )
    }),
  )
})

test('tells DATA as it comes, and keeps nothing of it', () => {
  const parser = new FrameParser()
  const frame = writeData(1, Buffer.from('abcdef'))
  const parts: string[] = []
  for (const octet of frame) {
    parser.push(Buffer.from([octet]))
    while (parser.next()) {
      parts.push(`${parser.octets.toString('latin1', parser.start, parser.end)}${parser.isLast ? '.' : ''}`)
    }
  }
  expect(parts).toEqual(['a', 'b', 'c', 'd', 'e', 'f.'])
})

test('knows where it stands', () => {
  const parser = new FrameParser()
  const octets = Buffer.concat([writePing(Buffer.alloc(8)), writeData(1, Buffer.from('abc'))])
  const states: string[] = []
  for (const octet of octets) {
    parser.push(Buffer.from([octet]))
    while (parser.next());
    states.push(parser.isAtBoundary ? '|' : parser.isInHead ? 'h' : 'p')
  }
  expect(states.join('')).toBe('hhhhhhhhpppppppp|hhhhhhhhppp|')
})

test('takes no frame that is longer than allowed', () => {
  const parser = new FrameParser()
  expect(
    framesOf([writeSettingsAck(), writeFrameHead(16_385, FRAME.data, 0, 1), Buffer.alloc(20)], parser),
  ).toHaveLength(1)
  expect(parser.problem).toMatch(/16385 octets, where 16384/)
  const patient = new FrameParser()
  patient.maxFrameBytes = 16_385
  expect(framesOf([writeData(1, Buffer.alloc(16_385))], patient)).toHaveLength(1)
})

test('another protocol is told by its first frame', () => {
  const parser = new FrameParser()
  expect(framesOf([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], parser)).toEqual([])
  expect(parser.problem).toBeDefined()
})

test('keeps the reserved bit apart', () => {
  const parser = new FrameParser()
  parser.push(writeFrame({ type: FRAME.data, streamId: 0x80000003 }))
  expect(parser.next()).toBe(true)
  expect(parser.streamId).toBe(3)
  expect(parser.streamWord).toBe(0x80000003)
  const { length, type, flags, streamWord } = parser
  expect(writeFrameHead(length, type, flags, streamWord)).toEqual(
    writeFrame({ type: FRAME.data, streamId: 0x80000003 }),
  )
})

test('writes frames whose head lies', () => {
  expect(
    writeFrame({ type: FRAME.windowUpdate, streamId: 1, payload: Buffer.from([1]), length: 4 }).toString('hex'),
  ).toBe('00000408000000000101')
  expect(PREFACE).toHaveLength(24)
})

test('survives any octets', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      const parser = new FrameParser()
      for (const chunk of chunks) {
        parser.push(Buffer.from(chunk))
        while (parser.next()) expect(parser.end - parser.start).toBeLessThanOrEqual(parser.length)
      }
    }),
  )
})
