/** SETTINGS as values (RFC 9113 section 6.5). Does no I/O. */
import { writeSettings } from './frame-write.ts'
import { DEFAULT_MAX_FRAME_BYTES, ERROR_CODE, MAX_STREAM_ID, SETTING } from './frame.ts'

/** What an endpoint says of itself. What is missing is not said. */
export type Http2Settings = { readonly [Name in keyof typeof SETTING]?: number }

/** Octets of one setting. */
const SETTING_BYTES = 6
/** The longest frame that there can be. */
const MOST_FRAME_BYTES = 2 ** 24 - 1

const NAMES: ReadonlyMap<number, keyof typeof SETTING> = new Map(
  Object.entries(SETTING).map(([name, id]) => [id, name as keyof typeof SETTING]),
)

/** Settings that cannot be, and the error code for it. */
export interface BadSettings {
  readonly code: number
  readonly problem: string
}

/** Reads the payload of a SETTINGS frame. Of the same setting the last one counts; unknown ones mean nothing. */
export function readSettings(payload: Buffer): Http2Settings | BadSettings {
  if (payload.length % SETTING_BYTES !== 0) {
    return { code: ERROR_CODE.frameSizeError, problem: `SETTINGS of ${payload.length} octets` }
  }
  const settings: { -readonly [Name in keyof Http2Settings]: Http2Settings[Name] } = {}
  for (let at = 0; at < payload.length; at += SETTING_BYTES) {
    const name = NAMES.get(payload.readUInt16BE(at))
    if (name) settings[name] = payload.readUInt32BE(at + 2)
  }
  return problemOf(settings) ?? settings
}

/** Whether settings are such as there cannot be. */
export function isBad(settings: Http2Settings | BadSettings): settings is BadSettings {
  return 'problem' in settings
}

function problemOf(settings: Http2Settings): BadSettings | undefined {
  const { enablePush = 0, initialWindowSize = 0, maxFrameSize = DEFAULT_MAX_FRAME_BYTES } = settings
  const { enableConnectProtocol = 0 } = settings
  if (initialWindowSize > MAX_STREAM_ID) {
    return { code: ERROR_CODE.flowControlError, problem: `a window of ${initialWindowSize} octets` }
  }
  if (maxFrameSize < DEFAULT_MAX_FRAME_BYTES || maxFrameSize > MOST_FRAME_BYTES) {
    return { code: ERROR_CODE.protocolError, problem: `frames of at most ${maxFrameSize} octets` }
  }
  if (enablePush > 1 || enableConnectProtocol > 1) {
    return { code: ERROR_CODE.protocolError, problem: 'a switch that is neither 0 nor 1' }
  }
  return undefined
}

/** A SETTINGS frame that says these. */
export function settingsFrame(settings: Http2Settings): Buffer {
  const pairs: (readonly [number, number])[] = []
  for (const [id, name] of NAMES) {
    const value = settings[name]
    if (value !== undefined) pairs.push([id, value])
  }
  return writeSettings(pairs)
}
