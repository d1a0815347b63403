/** The first SETTINGS: what a client says of itself before anything else (RFC 9113 section 3.4), and what it is told. */
import { getPackedSettings, getUnpackedSettings } from 'node:http2'
import type { Settings } from 'node:http2'

import { FRAME, FRAME_HEAD_BYTES, PREFACE } from './frame.ts'

const SETTING_BYTES = 6

/** Reads the SETTINGS at the beginning of a connection; undefined when they are not all there, or are none. */
export function settingsOf(octets: Buffer): Settings | undefined {
  const at = PREFACE.length
  if (octets.length < at + FRAME_HEAD_BYTES || octets[at + 3] !== FRAME.settings) return undefined
  const length = octets.readUIntBE(at, 3)
  const payload = octets.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + length)
  if (payload.length < length || length === 0 || length % SETTING_BYTES !== 0) return undefined
  try {
    const { initialWindowSize, maxHeaderListSize, maxFrameSize, headerTableSize } = getUnpackedSettings(payload)
    const settings: Settings = {
      ...(initialWindowSize !== undefined && { initialWindowSize }),
      ...(maxHeaderListSize !== undefined && { maxHeaderListSize }),
      ...(maxFrameSize !== undefined && { maxFrameSize }),
      ...(headerTableSize !== undefined && { headerTableSize }),
    }
    // Refuses values that there cannot be.
    getPackedSettings(settings)
    return settings
  } catch {
    return undefined // the session will say what is wrong with them
  }
}

/** What a client that says nothing of it may send before it is read. */
const DEFAULT_WINDOW_BYTES = 2 ** 20
const UNLIMITED = 2 ** 32 - 1

/** What a client is told of its server, as far as there is one; else what suits a mock. */
export function settingsForClient(server: Settings | undefined, maxHeadBytes: number): Settings {
  const list = server?.maxHeaderListSize ?? maxHeadBytes
  return {
    headerTableSize: server?.headerTableSize ?? 4096,
    initialWindowSize: server?.initialWindowSize ?? DEFAULT_WINDOW_BYTES,
    maxFrameSize: server?.maxFrameSize ?? 16_384,
    maxHeaderListSize: list >= UNLIMITED ? 16 * 2 ** 20 : list,
    maxConcurrentStreams: server?.maxConcurrentStreams ?? UNLIMITED,
    enableConnectProtocol: server?.enableConnectProtocol ?? false,
  }
}
