import { describe, expect, it } from 'vitest'

import { FRAME, PREFACE } from './frame.ts'
import { FrameGate } from './frame-gate.ts'
import { writeData, writeFrame, writeHeaders, writePing, writeReset, writeSettings } from './frame-write.ts'

const SESSION = [
  writeSettings([[3, 100]]),
  writeHeaders(1, Buffer.alloc(40, 1), { maxFrameBytes: 16 }),
  writeData(1, Buffer.from('hello')),
  writePing(Buffer.alloc(8, 7)),
  writeData(3, Buffer.from('other'), { endStream: true }),
]
const ALL = Buffer.concat(SESSION)
const INJECTED = writeReset(9, 7)

/** A gate, and what has left by it. */
function gate(): { gate: FrameGate; left: () => Buffer } {
  const out: Buffer[] = []
  return { gate: new FrameGate((octets) => out.push(octets)), left: () => Buffer.concat(out) }
}

/** Passes octets in two pieces, and does something between them. */
function passCut(octets: Buffer, at: number, between: (gate: FrameGate) => void): Buffer {
  const { gate: cut, left } = gate()
  cut.pass([octets.subarray(0, at)])
  between(cut)
  cut.pass([octets.subarray(at)])
  return left()
}

describe('FrameGate', () => {
  it('passes what a session writes, octet for octet, however it is cut', () => {
    for (const begin of [Buffer.alloc(0), PREFACE]) {
      const octets = Buffer.concat([begin, ALL])
      for (let at = 0; at <= octets.length; at++) {
        if (at < begin.length && at > 0) continue // a session writes its preface whole
        expect(passCut(octets, at, () => undefined)).toEqual(octets)
      }
    }
  })

  it('passes several chunks at once', () => {
    const { gate: whole, left } = gate()
    whole.pass(SESSION)
    expect(left()).toEqual(ALL)
  })

  it('puts frames between those of the session, never into one, nor into a block of fields', () => {
    const boundaries = boundariesOf(SESSION)
    for (let at = 0; at <= ALL.length; at++) {
      const left = passCut(ALL, at, (cut) => cut.inject(INJECTED))
      const place = left.indexOf(INJECTED)
      expect(boundaries, `cut at ${at}`).toContain(place)
      expect(place).toBeGreaterThanOrEqual(at)
      expect(Buffer.concat([left.subarray(0, place), left.subarray(place + INJECTED.length)])).toEqual(ALL)
    }
  })

  it('drops the frames that a filter names, with their whole block of fields, however they are cut', () => {
    const [settings = INJECTED, , , ping = INJECTED, other = INJECTED] = SESSION
    for (let at = 0; at <= ALL.length; at++) {
      const { gate: cut, left } = gate()
      cut.filter((_, streamId) => (streamId === 1 ? 'drop' : 'pass'))
      cut.pass([ALL.subarray(0, at)])
      cut.pass([ALL.subarray(at)])
      expect(left()).toEqual(Buffer.concat([settings, ping, other]))
    }
  })

  it('passes them again when the filter is taken out', () => {
    const { gate: filtered, left } = gate()
    const remove = filtered.filter((type) => (type === FRAME.ping ? 'drop' : 'pass'))
    filtered.pass([writePing(Buffer.alloc(8))])
    remove()
    filtered.pass([writePing(Buffer.alloc(8, 1))])
    expect(left()).toEqual(writePing(Buffer.alloc(8, 1)))
  })

  it('hands over the frames that are held, whole, however they are cut', () => {
    const ping = writePing(Buffer.alloc(8, 7))
    const others = Buffer.concat(SESSION.filter((frame) => !frame.equals(ping)))
    for (let at = 0; at <= ALL.length; at++) {
      const held: Buffer[] = []
      const { gate: cut, left } = gate()
      cut.filter(
        (type) => (type === FRAME.ping ? 'hold' : 'pass'),
        (frame) => held.push(frame),
      )
      cut.pass([ALL.subarray(0, at)])
      cut.pass([ALL.subarray(at)])
      expect([held, left()]).toEqual([[ping], others])
    }
  })

  it('says nothing more of a stream that is silent, and asks nobody about it', () => {
    const { gate: silent, left } = gate()
    const asked: number[] = []
    silent.filter((_, streamId) => {
      asked.push(streamId)
      return 'pass'
    })
    silent.silence(1)
    silent.pass([ALL])
    expect(asked).toEqual([0, 0, 3])
    expect(left().includes('hello')).toBe(false)
    expect(left().includes('other')).toBe(true)
  })

  it('puts nothing in front of the first frame, which must be SETTINGS', () => {
    const { gate: early, left } = gate()
    early.inject(INJECTED)
    expect(left()).toEqual(Buffer.alloc(0))
    early.pass([SESSION[0] ?? INJECTED])
    expect(left()).toEqual(Buffer.concat([SESSION[0] ?? INJECTED, INJECTED]))
  })

  it('tells when the head of a stream leaves, and when none will', async () => {
    const { gate: watched } = gate()
    const told: number[] = []
    const heads = [1, 3].map((id) => watched.whenHead(id).then(() => told.push(id)))
    watched.pass([ALL])
    await heads[0]
    expect(told).toEqual([1])
    watched.close()
    await heads[1]
  })

  it('asks with the flags, and without the reserved bit of the stream', () => {
    const asked: unknown[] = []
    const { gate: filtered } = gate()
    filtered.filter((...facts) => {
      asked.push(facts)
      return 'pass'
    })
    filtered.pass([writeFrame({ type: 6, flags: 1, streamId: 0x8000_0005, payload: Buffer.alloc(8) })])
    expect(asked).toEqual([[6, 5, 1]])
  })
})

/** Where a frame of another making may stand: between frames, but not between HEADERS and their CONTINUATION. */
function boundariesOf(frames: readonly Buffer[]): readonly number[] {
  let at = 0
  return [0, ...frames.map((frame) => (at += frame.length))]
}
