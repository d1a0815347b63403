import type { Fault, FaultPart } from '../fault.ts'
import { bandwidth } from './bandwidth.ts'
import { checkOptions, invalidFault, milliseconds, numberIn, optional } from './check.ts'
import { latency } from './latency.ts'
import { nearestWord } from '../internal/nearest-word.ts'
import { NETWORK_PRESETS } from './network-presets.ts'
import type { NetworkLink, NetworkPreset } from './network-presets.ts'
import { packetLoss } from './packet-loss.ts'

/**
 * Puts a link between the client and everything: its bandwidth each way, shared by all exchanges of the rule, half its
 * round trip as latency each way, and a round trip more for the connection (TCP) and for its TLS handshake.
 *
 * The names are of Chrome's tools (`'Slow 4G'`), and with the tool before them of Firefox, Lighthouse, WebPageTest and
 * sitespeed (`'Firefox Good 3G'`).
 *
 * @param link - A name, or what the link can do.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`, also for an unknown name.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function goOutside(mitm: TestMitm): void {
 *   mitm.when('**').fault(faults.network('Slow 4G'))
 *   mitm.when('https://far.test/**').fault(faults.network({ downKbps: 2000, upKbps: 500, rttMs: 600, lossRate: 0.01 }))
 * }
 * ```
 */
export function network(link: NetworkPreset | NetworkLink): Fault {
  const { downKbps, upKbps, rttMs, lossRate = 0 } = typeof link === 'string' ? presetLink(link) : checkLink(link)
  const name = typeof link === 'string' ? `${JSON.stringify(link)} ` : ''
  const loss = lossRate > 0 ? `, ${Number((lossRate * 100).toPrecision(6))} % lost` : ''
  return {
    name: 'network',
    text: `network ${name}of ${downKbps} kbit/s down, ${upKbps} kbit/s up, ${rttMs} ms round trip${loss}`,
    parts: [
      ...direction('client', downKbps, rttMs / 2, lossRate),
      ...direction('server', upKbps, rttMs / 2, lossRate),
      ...handshakes(rttMs),
    ],
  }
}

/** The line itself comes first: octets queue for it, and then travel. */
function direction(side: 'client' | 'server', kbps: number, ms: number, rate: number): readonly FaultPart[] {
  return [
    ...bandwidth({ kbps, side }).parts,
    ...(rate > 0 ? packetLoss({ rate, side }).parts : []),
    ...(ms > 0 ? latency({ ms, side }).parts : []),
  ]
}

function handshakes(ms: number): readonly FaultPart[] {
  if (ms === 0) return []
  return [
    { stage: 'tunnel', reply: { kind: 'delay', ms } },
    { stage: 'tls', failure: { kind: 'delay', ms } },
  ]
}

function checkLink(link: NetworkLink): NetworkLink {
  const rate = numberIn(0.001, 1e9, 'kilobits a second')
  return checkOptions('network', link, {
    downKbps: rate,
    upKbps: rate,
    rttMs: milliseconds,
    lossRate: optional(numberIn(0, 0.99)),
  })
}

function presetLink(name: string): NetworkLink {
  if (isPreset(name)) return NETWORK_PRESETS[name]
  if (name.toLowerCase() === 'offline') {
    throw invalidFault('network', `${JSON.stringify(name)} is not a link, use mitm.offline()`)
  }
  const names = Object.keys(NETWORK_PRESETS)
  const nearest = nearestWord(name, names)
  const guess = nearest === undefined ? '' : ` Perhaps ${JSON.stringify(nearest)} is meant.`
  const list = names.map((one) => JSON.stringify(one)).join(', ')
  throw invalidFault('network', `the link ${JSON.stringify(name)} is not known.${guess} Expected one of ${list}`)
}

function isPreset(name: string): name is NetworkPreset {
  return Object.hasOwn(NETWORK_PRESETS, name)
}
