/** The first SETTINGS: what a client says of itself before anything else (RFC 9113 section 3.4), and what it is told. */
import { DEFAULT_WINDOW_BYTES, FRAME, FRAME_HEAD_BYTES, PREFACE } from './frame.ts'
import { isBad, readSettings } from './settings.ts'
import type { Http2Settings } from './settings.ts'

/** Reads the SETTINGS at the beginning of a connection; undefined when they are not all there, or are none. */
export function settingsOf(octets: Buffer): Http2Settings | undefined {
  const at = PREFACE.length
  if (octets.length < at + FRAME_HEAD_BYTES || octets[at + 3] !== FRAME.settings) return undefined
  const length = octets.readUIntBE(at, 3)
  const payload = octets.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + length)
  if (payload.length < length || length === 0) return undefined
  const settings = readSettings(payload)
  // The session will say what is wrong with them.
  if (isBad(settings)) return undefined
  const { initialWindowSize, maxHeaderListSize, maxFrameSize, headerTableSize } = settings
  return {
    ...(initialWindowSize !== undefined && { initialWindowSize }),
    ...(maxHeaderListSize !== undefined && { maxHeaderListSize }),
    ...(maxFrameSize !== undefined && { maxFrameSize }),
    ...(headerTableSize !== undefined && { headerTableSize }),
  }
}

/** What a client that says nothing of it may send before it is read. */
const MOCK_WINDOW_BYTES = 2 ** 20
const UNLIMITED = 2 ** 32 - 1

/** What a client is told of its server, as far as there is one; else what suits a mock. */
export function settingsForClient(server: Http2Settings | undefined, maxHeadBytes: number): Http2Settings {
  const list = server?.maxHeaderListSize ?? maxHeadBytes
  return {
    headerTableSize: server?.headerTableSize ?? 4096,
    initialWindowSize: windowFor(server),
    maxFrameSize: server?.maxFrameSize ?? 16_384,
    maxHeaderListSize: list >= UNLIMITED ? 16 * 2 ** 20 : list,
    maxConcurrentStreams: server?.maxConcurrentStreams ?? UNLIMITED,
    enableConnectProtocol: server?.enableConnectProtocol ?? 0,
  }
}

/** A server that gives room to each stream when it has come says 0 here: so its client could never send anything. */
function windowFor(server: Http2Settings | undefined): number {
  if (!server) return MOCK_WINDOW_BYTES
  return server.initialWindowSize === 0 ? MOCK_WINDOW_BYTES : (server.initialWindowSize ?? DEFAULT_WINDOW_BYTES)
}
