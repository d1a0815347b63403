import { expect, test } from 'vitest'

import type { Fault, Pace, TimedOctets } from '../fault.ts'
import { network } from './faults.ts'
import { nearestWord } from '../internal/nearest-word.ts'
import { NETWORK_PRESETS } from './network-presets.ts'

const messageOf = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    return String(error)
  }
  throw new TypeError('Nothing was refused')
}

function pacesOf(fault: Fault, side: 'client' | 'server'): readonly Pace[] {
  return fault.parts.flatMap((part) => (part.stage === 'pace' && part.side === side ? [part.open(() => 0.999)] : []))
}

test('a link paces both directions, its line first, and delays the handshakes by a round trip', () => {
  const fault = network({ downKbps: 800, upKbps: 80, rttMs: 100, lossRate: 0.01 })
  expect(fault.parts.map((part) => (part.stage === 'pace' ? `${part.side} ${part.scope}` : part))).toEqual([
    'client link',
    'client message',
    'client message',
    'server link',
    'server message',
    'server message',
    { stage: 'tunnel', reply: { kind: 'delay', ms: 100 } },
    { stage: 'tls', failure: { kind: 'delay', ms: 100 } },
  ])
  const endOf = (side: 'client' | 'server'): number | undefined =>
    pacesOf(fault, side)
      .reduce<readonly TimedOctets[]>(
        (pieces, pace) => pieces.flatMap((piece) => pace.schedule(piece)),
        [{ octets: Buffer.alloc(1000), atMs: 0 }],
      )
      .at(-1)?.atMs
  expect(endOf('client')).toBeCloseTo(10 + 50)
  expect(endOf('server')).toBeCloseTo(100 + 50)
})

test('a link without a delay has none', () => {
  expect(network({ downKbps: 8, upKbps: 8, rttMs: 0 }).parts).toHaveLength(2)
})

test.each(Object.entries(NETWORK_PRESETS))('%s is a link', (name, link) => {
  const fault = network(link)
  expect(fault.parts).toHaveLength(6)
  expect(Object.values(link).every((value) => value > 0)).toBe(true)
  expect(network(name as keyof typeof NETWORK_PRESETS).parts).toHaveLength(6)
})

test('presets hold the values of the link itself', () => {
  expect(NETWORK_PRESETS['Slow 4G']).toEqual({ downKbps: 1600, upKbps: 750, rttMs: 150 })
  expect(NETWORK_PRESETS['3G']).toEqual(NETWORK_PRESETS['Slow 3G'])
  expect(NETWORK_PRESETS['Slow 4G']).toEqual(NETWORK_PRESETS['Fast 3G'])
  expect(NETWORK_PRESETS['Firefox Good 3G']).toEqual({ downKbps: 1572.864, upKbps: 768, rttMs: 40 })
  expect(NETWORK_PRESETS['sitespeed 3g']).toEqual(NETWORK_PRESETS['WebPageTest 3G'])
})

test('an unknown name is refused, with the names there are and the one most like it', () => {
  const message = messageOf(() => Reflect.apply(network, undefined, ['slow4g']))
  expect(message).toContain(
    'the link "slow4g" is not known. Perhaps "Slow 4G" is meant. Expected one of "3G", "Slow 3G"',
  )
  expect(message).toContain('"sitespeed fois" [MITM_INVALID_FAULT]')
  expect(messageOf(() => Reflect.apply(network, undefined, ['toString']))).not.toContain('Perhaps')
})

test.each(['Offline', 'offline'])('%s is refused with a hint', (name) => {
  expect(messageOf(() => Reflect.apply(network, undefined, [name]))).toContain('use mitm.offline()')
})

test.each([
  ['fast 4', 'Fast 4G'],
  ['firefox wifi', 'Firefox Wi-Fi'],
  ['WebPagetest Cabel', 'WebPageTest Cable'],
  ['something else', undefined],
])('nearestWord() takes %j for %j', (word, expected) => {
  expect(nearestWord(word, Object.keys(NETWORK_PRESETS))).toBe(expected)
})
