import { describe, expect, it } from 'vitest'

import { FLAG, FRAME, PREFACE } from './frame.ts'
import { FrameWatch } from './frame-watch.ts'
import type { GoAway } from './frame-watch.ts'
import {
  writeData,
  writeFrame,
  writeGoAway,
  writeHeaders,
  writePing,
  writeReset,
  writeSettings,
} from './frame-write.ts'

const octetsOf = (pieces: readonly (Buffer | GoAway)[]): Buffer => Buffer.concat(pieces.filter(Buffer.isBuffer))
const goAwaysOf = (pieces: readonly (Buffer | GoAway)[]): unknown[] =>
  pieces.flatMap((piece) => (Buffer.isBuffer(piece) ? [] : [[piece.lastStreamId, piece.code, `${piece.debugData}`]]))

const head = writeHeaders(1, Buffer.from([0x88]))
const before = [head, writeData(1, Buffer.from('some')), writePing(Buffer.alloc(8))]
const behind = [
  writeReset(1, 8),
  writeHeaders(3, Buffer.from([0x88]), { endStream: true }),
  writeData(5, Buffer.alloc(0), { endStream: true }),
  writeReset(5, 0),
]
const all = Buffer.concat([...before, writeGoAway(5, 11, Buffer.from('calm')), ...behind])
const kept = Buffer.concat([...before, ...behind])

describe('FrameWatch', () => {
  it('hands octets on as they are, while there is nothing to keep from the session', () => {
    const watch = new FrameWatch('server')
    const octets = Buffer.concat(before)
    expect(watch.pass(octets)).toEqual([octets])
    expect(watch.pass(octets)[0]).toBe(octets)
    expect(watch.pass(Buffer.alloc(0))).toEqual([])
  })

  it('tells ends from resets, and keeps GOAWAY back, however octets are cut', () => {
    for (let at = 0; at <= all.length; at++) {
      const watch = new FrameWatch('server')
      const pieces = [...watch.pass(all.subarray(0, at)), ...watch.pass(all.subarray(at))]
      expect(octetsOf(pieces)).toEqual(kept)
      expect(goAwaysOf(pieces)).toEqual([[5, 11, 'calm']])
      expect([1, 3, 5, 7].map((id) => [watch.hasEnded(id), watch.resetOf(id)])).toEqual([
        [false, 8],
        [true, undefined],
        [true, 0],
        [false, undefined],
      ])
    }
  })

  it('reads octets one by one', () => {
    const watch = new FrameWatch('server')
    const pieces = [...all].flatMap((octet) => watch.pass(Buffer.from([octet])))
    expect(octetsOf(pieces)).toEqual(kept)
    expect(goAwaysOf(pieces)).toEqual([[5, 11, 'calm']])
  })

  it('hands nothing on from where a field block is interrupted', () => {
    const begun = Buffer.from(head)
    begun.writeUInt8(0, 4)
    const rest = (id: number, flags: number): Buffer => writeFrame({ type: FRAME.continuation, streamId: id, flags })
    const whole = Buffer.concat([begun, rest(1, 0), rest(1, FLAG.endHeaders), writePing(Buffer.alloc(8))])
    const interruptions = [writePing(Buffer.alloc(8)), head, writeReset(1, 8), writeGoAway(1, 0), rest(3, 0)]
    for (const interruption of interruptions) {
      const octets = Buffer.concat([whole, begun, rest(1, 0), interruption, whole])
      for (const size of [octets.length, 1, 5]) {
        const watch = new FrameWatch('server')
        const pieces: (Buffer | GoAway)[] = []
        for (let at = 0; at < octets.length; at += size) pieces.push(...watch.pass(octets.subarray(at, at + size)))
        expect(pieces.every(Buffer.isBuffer)).toBe(true)
        expect(octetsOf(pieces)).toEqual(Buffer.concat([whole, begun, rest(1, 0)]))
        expect(watch.isBroken).toBe(true)
      }
    }
    const watch = new FrameWatch('server')
    expect(octetsOf(watch.pass(Buffer.concat([whole, whole])))).toEqual(Buffer.concat([whole, whole]))
    expect(watch.isBroken).toBe(false)
  })

  it('begins a piece with a reset, so that what was read before can be handed on', () => {
    const watch = new FrameWatch('server')
    const [first, second] = watch.pass(Buffer.concat([head, writeReset(1, 2), writeData(3, Buffer.from('x'))]))
    expect(first).toEqual(head)
    expect(second).toEqual(Buffer.concat([writeReset(1, 2), writeData(3, Buffer.from('x'))]))
  })

  it('takes the preface of a client for no frame', () => {
    const watch = new FrameWatch('client')
    const octets = Buffer.concat([PREFACE, writeSettings(), head, writeReset(1, 3)])
    const pieces = [...watch.pass(octets.subarray(0, 10)), ...watch.pass(octets.subarray(10))]
    expect(octetsOf(pieces)).toEqual(octets)
    expect(watch.resetOf(1)).toBe(3)
  })

  it('leaves malformed frames to the session', () => {
    const watch = new FrameWatch('server')
    const shortGoAway = Buffer.from([0, 0, 4, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    const longReset = Buffer.from([0, 0, 5, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0])
    const octets = Buffer.concat([shortGoAway, longReset, head])
    expect(octetsOf(watch.pass(octets))).toEqual(octets)
  })

  it('forgets streams', () => {
    const watch = new FrameWatch('server')
    watch.pass(Buffer.concat(behind))
    for (const id of [1, 3, 5]) watch.forget(id)
    expect([1, 3, 5].map((id) => [watch.hasEnded(id), watch.resetOf(id)])).toEqual(
      [1, 3, 5].map(() => [false, undefined]),
    )
  })
})
