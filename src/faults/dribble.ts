import type { Side } from '../errors.ts'
import type { Fault, Pace, TimedOctets } from '../fault.ts'
import { checkOptions, milliseconds, optional, sideName, wholeNumber } from './check.ts'
import { paceFault } from './pace-fault.ts'

/** The options of {@link dribble}. */
export interface DribbleOptions {
  /** Into how many pieces the body is cut. */
  chunks: number
  /** Milliseconds over which they are spread. */
  totalMs: number
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Lets a body out in equal pieces at equal distances: the first after `totalMs / chunks`, the last after `totalMs`, from
 * when its first octets came. The head is not held back, and nothing is held any longer: a body that is slower than that
 * by itself passes as it comes.
 *
 * Where the length of a body is not said (it is chunked, or ends with the connection), what comes of it first is let out
 * in pieces so, and the rest behind the last of them.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function showTheProgressBar(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/photos.zip').fault(faults.dribble({ chunks: 5, totalMs: 1000 }))
 * }
 * ```
 */
export function dribble(options: DribbleOptions): Fault {
  const {
    chunks,
    totalMs,
    side = 'client',
  } = checkOptions('dribble', options, {
    chunks: wholeNumber(1, 1_000_000),
    totalMs: milliseconds,
    side: optional(sideName),
  })
  const text = `in ${chunks} ${chunks === 1 ? 'piece' : 'pieces'} over ${totalMs} ms`
  return paceFault('dribble', text, side, 'message', () => dribblePace(chunks, totalMs))
}

/** A pace that lets out bodies in pieces. The options are taken to be valid. */
function dribblePace(chunks: number, totalMs: number): Pace {
  let headLeft = 0
  let bodyBytes: number | undefined
  let passed = 0
  let startMs: number | undefined
  let lastMs = Number.NEGATIVE_INFINITY

  const scheduleBody = ({ octets, atMs }: TimedOctets): TimedOctets[] => {
    startMs ??= atMs
    bodyBytes ??= octets.length
    const pieces: TimedOctets[] = []
    let at = 0
    while (at < octets.length) {
      const chunk = Math.min(chunks, chunkAt(passed, bodyBytes, chunks))
      const end = chunk < chunks ? chunkEnd(chunk, bodyBytes, chunks) : Number.POSITIVE_INFINITY
      const piece = octets.subarray(at, at + end - passed)
      lastMs = Math.max(lastMs, atMs, startMs + (Math.min(chunk + 1, chunks) * totalMs) / chunks)
      pieces.push({ octets: piece, atMs: lastMs })
      at += piece.length
      passed += piece.length
    }
    return pieces
  }

  return {
    begin(message) {
      headLeft = message.headBytes
      bodyBytes = message.bodyBytes
      passed = 0
      startMs = undefined
    },
    schedule({ octets, atMs }) {
      const head = octets.subarray(0, headLeft)
      const body = octets.subarray(head.length)
      headLeft -= head.length
      const pieces: TimedOctets[] = []
      if (head.length > 0) {
        lastMs = Math.max(lastMs, atMs)
        pieces.push({ octets: head, atMs: lastMs })
      }
      return body.length > 0 ? [...pieces, ...scheduleBody({ octets: body, atMs })] : pieces
    },
  }
}

/** Where in a body a chunk ends, its chunks counted from 0. */
function chunkEnd(chunk: number, bodyBytes: number, chunks: number): number {
  return Math.ceil(((chunk + 1) * bodyBytes) / chunks)
}

/** The chunk in which an octet is; `chunks` or more behind the last. */
function chunkAt(offset: number, bodyBytes: number, chunks: number): number {
  if (offset >= bodyBytes) return chunks
  let chunk = Math.floor((offset * chunks) / bodyBytes)
  while (chunkEnd(chunk, bodyBytes, chunks) <= offset) chunk++
  return chunk
}
