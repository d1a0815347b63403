/** What the fault matrix consists of: each fault, and what each client reports of it. Values only; nothing runs here. */
import type { ErrorCode, Fault, faults } from 'playwright-mitm/core'

/** Every fault, as `playwright-mitm/core` exports them. Handed in, so that the cases can be read without a build. */
export type Faults = typeof faults

/**
 * What a client came to, in few words:
 *
 * - `ERR_CONNECTION_RESET`: it failed before it had a response, and this is its code;
 * - `body: ECONNRESET`: it had the head of a response, and failed in the body;
 * - `tunnel: status 502`: for a client that opens its tunnel itself, the same of CONNECT;
 * - `hangs`, `body: hangs`: it waited, when this test had waited long enough;
 * - `succeeds`; `succeeds, 10 of 100 octets`; `succeeds, late`, when the response took its time; `succeeds, not decoded`;
 *   `succeeds, with other octets`;
 * - `status 503`: it was answered, but not with 200;
 * - `connects without end`: it did not stop to connect.
 */
export type Seen = string

/** One of several where versions of the client differ: the first is shown in the docs first. */
export type Expected = Seen | readonly Seen[]

/** What is asked for: how the server's response of {@link BODY} says where it ends, or how it is coded, or where it is. */
export type Asked = 'content-length' | 'chunked' | 'until close' | 'gzip' | 'cross-origin'

/**
 * The clients of the matrix. Of Chromium there are several: as the fixtures set it up; with the mitm as an HTTP proxy, in place
 * of SOCKS5 (`connect`); that trusts the CA by its own store (`trusting`); with `ignoreHTTPSErrors` (`ignoring`). `http2` is
 * `node:http2`, which stands in the place of `node:https` where the layer is HTTP/2; undici speaks HTTP/2 there, too.
 */
export type Client = 'chromium' | 'connect' | 'trusting' | 'ignoring' | 'undici' | 'https' | 'http2'

/** The table that a case stands in. */
export type Layer = 'reach' | 'certificate' | 'tls' | 'tcp' | 'pace' | 'http' | 'http2'

/** One row. */
export interface FaultCase {
  readonly layer: Layer
  /** As a test writes it, without `faults.`. */
  readonly code: string
  readonly fault: (all: Faults) => Fault
  /** What the fault does; a row without it is about the same fault as the row before. */
  readonly what?: string
  /** @defaultValue `content-length` */
  readonly asked?: Asked
  /** Sends this much in a POST. @defaultValue a GET */
  readonly uploads?: number
  /** A response that came no sooner than after so many milliseconds is `late`. */
  readonly lateMs?: number
  readonly chromium: Expected
  /** @defaultValue as `chromium` */
  readonly connect?: Expected
  readonly undici: Expected
  /** Of all layers but `http2`. */
  readonly https?: Expected
  /** Of the layer `http2`. */
  readonly http2?: Expected
  /** @defaultValue as `chromium` */
  readonly trusting?: Expected
  /** @defaultValue as `chromium` */
  readonly ignoring?: Expected
  /** What the mitm may report beside. @defaultValue nothing */
  readonly reports?: readonly ErrorCode[]
}

/** The body of every response: 100 octets. */
export const BODY: string = JSON.stringify({ message: 'a'.repeat(86) })

/** All that a client may come to in this case, the usual one first. */
export function expectedOf(row: FaultCase, client: Client): readonly Seen[] {
  const expected = row[client] ?? row.chromium
  return typeof expected === 'string' ? [expected] : expected
}

/** What is said of a response that came whole. */
export function judge(
  status: number,
  body: string,
  elapsedMs: number,
  lateMs: number = Number.POSITIVE_INFINITY,
): Seen {
  if (status !== 200) return `status ${status}`
  if (!BODY.startsWith(body)) return 'succeeds, with other octets'
  if (body !== BODY) return `succeeds, ${Buffer.byteLength(body)} of ${Buffer.byteLength(BODY)} octets`
  return elapsedMs >= lateMs ? 'succeeds, late' : 'succeeds'
}
