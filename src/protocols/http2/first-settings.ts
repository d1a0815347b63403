/** What a client says of itself before anything else: its SETTINGS, which follow its preface (RFC 9113 section 3.4). */
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
