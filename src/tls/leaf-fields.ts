/** The fields of a certificate that are a leaf's own, as DER. */
import { randomBytes } from 'node:crypto'
import { isIPv6 } from 'node:net'

import { TAG, writeElement, writeExtension } from './der.ts'

const COMMON_NAME = Buffer.from([0x55, 0x04, 0x03])
const SUBJECT_ALT_NAME = Buffer.from([0x55, 0x1d, 0x11])
/** The two of GeneralName's alternatives that hosts need, IMPLICIT (RFC 5280 section 4.2.1.6). */
const GENERAL_NAME_TAG = { dns: 0x82, ip: 0x87 } as const
const SERIAL_OCTETS = 16
/** The first year that UTCTime cannot say (RFC 5280 section 4.1.2.5). */
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050

/**
 * A serial number (RFC 5280 section 4.1.2.2): unique by 126 random bits.
 *
 * ```
 * INTEGER  02 | 10 | 01xxxxxx xxxxxxxx …
 *                    ||
 *                    |set, or leading zeros would have to be left out
 *                    clear, or it would be negative
 * ```
 *
 * @param random - 16 octets.
 */
export function writeSerial(random: Buffer = randomBytes(SERIAL_OCTETS)): Buffer {
  const octets = Buffer.from(random)
  octets.writeUInt8((octets.readUInt8(0) & 0x3f) | 0x40, 0)
  return writeElement(TAG.integer, octets)
}

/**
 * From when until when it is valid (RFC 5280 section 4.1.2.5); parts of a second are dropped.
 *
 * ```
 * SEQUENCE  time, time
 * time      UTCTime          YYMMDDHHMMSSZ     through 2049
 *           GeneralizedTime  YYYYMMDDHHMMSSZ   from 2050 on
 * ```
 */
export function writeValidity(notBefore: Date, notAfter: Date): Buffer {
  return writeElement(TAG.sequence, writeTime(notBefore), writeTime(notAfter))
}

function writeTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/\.\d+|[-:T]/g, '')
  if (time.getUTCFullYear() >= FIRST_YEAR_OF_GENERALIZED_TIME)
    return writeElement(TAG.generalizedTime, Buffer.from(digits))
  return writeElement(TAG.utcTime, Buffer.from(digits.slice(2)))
}

/**
 * A Name of a common name alone (RFC 5280 section 4.1.2.4).
 *
 * ```
 * SEQUENCE  SET  SEQUENCE  OBJECT IDENTIFIER 2.5.4.3, UTF8String
 * ```
 *
 * @param commonName - At most 64 characters.
 */
export function writeCommonName(commonName: string): Buffer {
  const value = writeElement(TAG.utf8String, Buffer.from(commonName))
  const attribute = writeElement(TAG.sequence, writeElement(TAG.objectId, COMMON_NAME), value)
  return writeElement(TAG.sequence, writeElement(TAG.set, attribute))
}

/**
 * The extension that says for which name it is (RFC 5280 section 4.2.1.6); not critical, as the subject is not empty.
 *
 * ```
 * SEQUENCE  OBJECT IDENTIFIER 2.5.29.17, OCTET STRING  SEQUENCE  [2] IA5String         a DNS name
 *                                                                [7] 4 or 16 octets    an address
 * ```
 *
 * @param kind - What `value` is.
 * @param value - A DNS name in ASCII, or an address; an IPv6 address as URLs have it, without brackets.
 */
export function writeSubjectAltName(kind: 'dns' | 'ip', value: string): Buffer {
  const octets = kind === 'dns' ? Buffer.from(value, 'ascii') : addressOctets(value)
  return writeExtension(SUBJECT_ALT_NAME, writeElement(TAG.sequence, writeElement(GENERAL_NAME_TAG[kind], octets)))
}

function addressOctets(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const [before = [], after = []] = address.split('::').map((groups) => (groups === '' ? [] : groups.split(':')))
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  const groups = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'))
  return Buffer.from(groups.join(''), 'hex')
}
