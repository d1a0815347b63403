import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { FaultyFrame } from '../../fault.ts'
import { maskInto, withMask } from '../../internal/mask.ts'
import { FrameParser, isCloseCode, problemOfClose } from './parse.ts'
import type { FramePart, FrameRules } from './parse.ts'
import { closePayload, writeClose, writeFaulty, writeFrame, writeMessage } from './write.ts'

const FROM_SERVER: FrameRules = { from: 'server', reservedOnFirst: 0, reservedOnAny: 0 }
const FROM_CLIENT: FrameRules = { ...FROM_SERVER, from: 'client' }

/** All parts of octets that come in these pieces. */
function parse(
  pieces: readonly Buffer[],
  rules: FrameRules = FROM_SERVER,
): { parts: FramePart[]; parser: FrameParser } {
  const parser = new FrameParser(rules)
  const parts: FramePart[] = []
  for (const piece of pieces) {
    parser.push(piece)
    for (let part = parser.read(); part; part = parser.read()) parts.push(part)
  }
  return { parts, parser }
}

/** The frames of parts, put together again. */
function framesOf(parts: readonly FramePart[]): { opcode: number; problem: string | undefined; payload: string }[] {
  const frames: { opcode: number; problem: string | undefined; payload: string }[] = []
  for (const { head, payload, offset, isFirst } of parts) {
    if (isFirst) frames.push({ opcode: head.opcode, problem: head.problem, payload: '' })
    const frame = frames.at(-1)
    if (frame) frame.payload += withMask(payload, head.mask, offset & 3).toString('latin1')
  }
  return frames
}

function cut(octets: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (octets.length + 1)))].toSorted((one, other) => one - other)
  return [0, ...ends].map((from, at) => octets.subarray(from, ends[at] ?? octets.length))
}

describe('the examples of RFC 6455 section 5.7', () => {
  it.each([
    ['an unmasked text message', '810548656c6c6f', FROM_SERVER, [{ opcode: 1, payload: 'Hello' }]],
    ['a masked text message', '818537fa213d7f9f4d5158', FROM_CLIENT, [{ opcode: 1, payload: 'Hello' }]],
    [
      'fragments',
      '010348656c80026c6f',
      FROM_SERVER,
      [
        { opcode: 1, payload: 'Hel' },
        { opcode: 0, payload: 'lo' },
      ],
    ],
    ['a ping', '890548656c6c6f', FROM_SERVER, [{ opcode: 9, payload: 'Hello' }]],
    ['a pong', '8a8537fa213d7f9f4d5158', FROM_CLIENT, [{ opcode: 10, payload: 'Hello' }]],
    ['256 octets', `827e0100${'aa'.repeat(256)}`, FROM_SERVER, [{ opcode: 2, payload: '\xaa'.repeat(256) }]],
    [
      '64 KiB',
      `827f0000000000010000${'bb'.repeat(65_536)}`,
      FROM_SERVER,
      [{ opcode: 2, payload: '\xbb'.repeat(65_536) }],
    ],
  ] as const)('%s', (_, hex, rules, frames) => {
    const octets = Buffer.from(hex, 'hex')
    const { parts, parser } = parse([octets], rules)
    expect(framesOf(parts)).toEqual(frames.map((frame) => ({ ...frame, problem: undefined })))
    expect([parser.isBetweenFrames, parser.isBetweenMessages, parser.unread.length]).toEqual([true, true, 0])
  })
})

describe('FrameParser', () => {
  const octets = Buffer.concat([
    writeMessage('client', 'text', Buffer.from('hello')),
    writeFrame({ opcode: 2, payload: Buffer.alloc(200, 'b'), isFinal: false, isMasked: true }),
    writeFrame({ opcode: 9, payload: Buffer.from('ping'), isMasked: true }),
    writeFrame({ opcode: 0, payload: Buffer.from('rest'), isMasked: true }),
    writeMessage('client', 'binary', Buffer.alloc(0)),
    writeClose('client', 1000, 'bye'),
  ])

  it('reads the same frames wherever they are cut', () => {
    const expected = framesOf(parse([octets], FROM_CLIENT).parts)
    expect(expected.map(({ opcode }) => opcode)).toEqual([1, 2, 9, 0, 2, 8])
    for (let at = 0; at <= octets.length; at++) {
      const { parts } = parse([octets.subarray(0, at), octets.subarray(at)], FROM_CLIENT)
      expect(framesOf(parts)).toEqual(expected)
      expect(Buffer.concat(parts.map((part) => part.octets))).toEqual(octets)
    }
    const single = Array.from(octets, (octet) => Buffer.from([octet]))
    expect(framesOf(parse(single, FROM_CLIENT).parts)).toEqual(expected)
  })

  it('changes no octet of anything, and loses none, however it is cut', () => {
    const garbage = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(garbage, fc.array(fc.nat(400), { maxLength: 6 }), fc.boolean(), (bytes, places, isClient) => {
        const { parts, parser } = parse(cut(bytes, places), isClient ? FROM_CLIENT : FROM_SERVER)
        expect(Buffer.concat([...parts.map((part) => part.octets), parser.unread])).toEqual(bytes)
        // However it is cut, the same is wrong with it.
        const whole = framesOf(parse([bytes], isClient ? FROM_CLIENT : FROM_SERVER).parts)
        expect(framesOf(parts)).toEqual(whole)
      }),
      { numRuns: 500 },
    )
  })

  it('reads what was written', () => {
    const frame = fc.record({
      opcode: fc.constantFrom(0, 1, 2, 3, 8, 9, 10, 15),
      payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      isFinal: fc.boolean(),
      reserved: fc.nat(7),
      isMasked: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(2000), { maxLength: 8 }), (frames, places) => {
        const { parts } = parse(cut(Buffer.concat(frames.map(writeFrame)), places))
        expect(framesOf(parts).map(({ opcode, payload }) => [opcode, payload])).toEqual(
          frames.map(({ opcode, payload }) => [opcode, payload.toString('latin1')]),
        )
        const heads = parts.filter(({ isFirst }) => isFirst).map(({ head }) => head)
        expect(heads.map(({ isFinal, reserved, isMasked }) => ({ isFinal, reserved, isMasked }))).toEqual(
          frames.map(({ isFinal, reserved, isMasked }) => ({ isFinal, reserved, isMasked })),
        )
      }),
    )
  })

  const text = Buffer.from('x')
  const PROBLEMS: readonly [problem: string, frames: readonly FaultyFrame[]][] = [
    ['mask', [{ opcode: 1, payload: text, hasWrongMask: true }]],
    ['reserved-bit', [{ opcode: 1, payload: text, reserved: 4 }]],
    ['reserved-bit', [{ opcode: 2, payload: text, reserved: 2 }]],
    ['reserved-bit', [{ opcode: 9, payload: text, reserved: 1 }]],
    ['opcode', [{ opcode: 3, payload: text }]],
    ['opcode', [{ opcode: 11, payload: text }]],
    ['control-length', [{ opcode: 9, payload: Buffer.alloc(126) }]],
    ['control-fragment', [{ opcode: 8, payload: text, isFinal: false }]],
    ['continuation', [{ opcode: 0, payload: text }]],
    [
      'interleaved',
      [
        { opcode: 1, payload: text, isFinal: false },
        { opcode: 2, payload: text },
      ],
    ],
    ['length', [{ opcode: 1, payload: text, statedLength: 2n ** 63n }]],
  ]

  it.each(PROBLEMS)('says that %s is wrong, of both sides', (problem, frames) => {
    for (const from of ['client', 'server'] as const) {
      const written = frames.map((frame) => writeFaulty(from, frame))
      const { parts } = parse(written, { ...FROM_SERVER, from })
      expect(parts.at(-1)?.head.problem).toBe(problem)
    }
  })

  it('takes the bits that extensions explain', () => {
    const compressed = { opcode: 1, payload: text, reserved: 4, isMasked: false }
    const rules: FrameRules = { from: 'server', reservedOnFirst: 4, reservedOnAny: 0 }
    const problemOf = (frames: readonly Buffer[], given: FrameRules): unknown =>
      parse(frames, given).parts.at(-1)?.head.problem
    expect(problemOf([writeFrame(compressed)], rules)).toBeUndefined()
    expect(problemOf([writeFrame({ ...compressed, opcode: 9 })], rules)).toBe('reserved-bit')
    const continued = [writeFrame({ ...compressed, isFinal: false }), writeFrame({ ...compressed, opcode: 0 })]
    expect(problemOf(continued, rules)).toBe('reserved-bit')
    expect(problemOf(continued, { ...rules, reservedOnAny: 7 })).toBeUndefined()
  })

  it('knows when something may be sent in between', () => {
    const parser = new FrameParser(FROM_SERVER)
    const state = (): readonly boolean[] => [parser.isBetweenFrames, parser.isBetweenMessages]
    const feed = (frame: Buffer): void => {
      parser.push(frame)
      while (parser.read()) {
        // All of it is read.
      }
    }
    expect(state()).toEqual([true, true])
    feed(writeFrame({ opcode: 1, payload: text, isFinal: false, isMasked: false }))
    expect(state()).toEqual([true, false])
    feed(writeFrame({ opcode: 9, payload: text, isMasked: false }))
    expect(state()).toEqual([true, false])
    const last = writeFrame({ opcode: 0, payload: text, isMasked: false })
    feed(last.subarray(0, 2))
    expect(state()).toEqual([false, false])
    feed(last.subarray(2))
    expect(state()).toEqual([true, true])
  })
})

describe('close frames', () => {
  it.each([
    [999, false],
    [1000, true],
    [1003, true],
    [1004, false],
    [1005, false],
    [1006, false],
    [1007, true],
    [1014, true],
    [1015, false],
    [2999, false],
    [3000, true],
    [4999, true],
    [5000, false],
  ])('may have the code %i: %s', (code, isAllowed) => {
    expect(isCloseCode(code)).toBe(isAllowed)
    expect(problemOfClose(closePayload(code))).toBe(isAllowed ? undefined : 'close-code')
  })

  it('may be empty, but not have half a code', () => {
    expect(problemOfClose(closePayload(undefined))).toBeUndefined()
    expect(problemOfClose(Buffer.from([3]))).toBe('close-code')
    expect(closePayload(1001, 'über').toString('utf8', 2)).toBe('über')
  })
})

it('masks octets wherever they lie, and whichever comes first', () => {
  const some = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(some, fc.integer(), fc.nat(3), fc.nat(7), (octets, mask, phase, at) => {
      const key = Buffer.alloc(4)
      key.writeInt32BE(mask)
      const expected = Buffer.from(octets.map((octet, index) => octet ^ (key[(index + phase) % 4] ?? 0)))
      expect(withMask(octets, mask, phase)).toEqual(expected)
      const target = Buffer.alloc(octets.length + 8)
      maskInto(target, at, octets, mask, phase)
      expect(target.subarray(at, at + octets.length)).toEqual(expected)
      expect(withMask(withMask(octets, mask, phase), mask, phase)).toEqual(octets)
    }),
  )
})
