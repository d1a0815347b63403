/**
 * Links by name, as data. All values are of the link itself: what browsers' tools feed their own throttlers is adjusted,
 * because those delay requests and not octets, and is wrong here.
 */

/** What a link can do. */
export interface NetworkLink {
  /** Kilobits (1000 bits) a second towards the client. */
  readonly downKbps: number
  /** Kilobits (1000 bits) a second towards the server. */
  readonly upKbps: number
  /** Milliseconds there and back. */
  readonly rttMs: number
  /** How many segments are lost, from 0 to 0.99, each way. @defaultValue 0 */
  readonly lossRate?: number | undefined
}

/** The links that `network()` knows by name. */
export const NETWORK_PRESETS = {
  // Chrome DevTools, front_end/core/sdk/NetworkManager.ts, before its factors. Each under its name now and until 2024.
  '3G': { downKbps: 500, upKbps: 500, rttMs: 400 },
  'Slow 3G': { downKbps: 500, upKbps: 500, rttMs: 400 },
  'Slow 4G': { downKbps: 1600, upKbps: 750, rttMs: 150 },
  'Fast 3G': { downKbps: 1600, upKbps: 750, rttMs: 150 },
  'Fast 4G': { downKbps: 9000, upKbps: 1500, rttMs: 60 },

  // Lighthouse, core/config/constants.ts: what it simulates, of which there is but one throughput for the last two.
  'Lighthouse mobileSlow4G': { downKbps: 1638.4, upKbps: 750, rttMs: 150 },
  'Lighthouse mobileRegular3G': { downKbps: 700, upKbps: 700, rttMs: 300 },
  'Lighthouse desktopDense4G': { downKbps: 10_240, upKbps: 10_240, rttMs: 40 },

  // Firefox, devtools/client/shared/components/throttling/profiles.js. It counts 1024 bits to the
  // kilobit; its latency is of each request, which is a round trip.
  'Firefox GPRS': { downKbps: 51.2, upKbps: 20.48, rttMs: 500 },
  'Firefox Regular 2G': { downKbps: 256, upKbps: 51.2, rttMs: 300 },
  'Firefox Good 2G': { downKbps: 460.8, upKbps: 153.6, rttMs: 150 },
  'Firefox Regular 3G': { downKbps: 768, upKbps: 256, rttMs: 100 },
  'Firefox Good 3G': { downKbps: 1572.864, upKbps: 768, rttMs: 40 },
  'Firefox Regular 4G': { downKbps: 4194.304, upKbps: 3145.728, rttMs: 20 },
  'Firefox DSL': { downKbps: 2097.152, upKbps: 1048.576, rttMs: 5 },
  'Firefox Wi-Fi': { downKbps: 31457.28, upKbps: 15728.64, rttMs: 2 },

  // WebPageTest, www/settings/connectivity.ini.
  'WebPageTest Cable': { downKbps: 5000, upKbps: 1000, rttMs: 28 },
  'WebPageTest DSL': { downKbps: 1500, upKbps: 384, rttMs: 50 },
  'WebPageTest 3GSlow': { downKbps: 400, upKbps: 400, rttMs: 400 },
  'WebPageTest 3G': { downKbps: 1600, upKbps: 768, rttMs: 300 },
  'WebPageTest 3GFast': { downKbps: 1600, upKbps: 768, rttMs: 150 },
  'WebPageTest 4G': { downKbps: 9000, upKbps: 9000, rttMs: 170 },
  'WebPageTest LTE': { downKbps: 12_000, upKbps: 12_000, rttMs: 70 },
  'WebPageTest Edge': { downKbps: 240, upKbps: 200, rttMs: 840 },
  'WebPageTest 2G': { downKbps: 280, upKbps: 256, rttMs: 800 },
  'WebPageTest Dial': { downKbps: 49, upKbps: 30, rttMs: 120 },

  // sitespeed's throttle 5, bin/index.js. It says the delay of one way, which is doubled here.
  'sitespeed 3g': { downKbps: 1600, upKbps: 768, rttMs: 300 },
  'sitespeed 3gfast': { downKbps: 1600, upKbps: 768, rttMs: 150 },
  'sitespeed 3gslow': { downKbps: 400, upKbps: 400, rttMs: 400 },
  'sitespeed 2g': { downKbps: 280, upKbps: 256, rttMs: 800 },
  'sitespeed cable': { downKbps: 5000, upKbps: 1000, rttMs: 28 },
  'sitespeed dsl': { downKbps: 1500, upKbps: 384, rttMs: 50 },
  'sitespeed 4g': { downKbps: 9000, upKbps: 9000, rttMs: 170 },
  'sitespeed lte': { downKbps: 12_000, upKbps: 12_000, rttMs: 70 },
  'sitespeed edge': { downKbps: 240, upKbps: 200, rttMs: 840 },
  'sitespeed dial': { downKbps: 49, upKbps: 30, rttMs: 120 },
  'sitespeed fois': { downKbps: 20_000, upKbps: 5000, rttMs: 4 },
} as const

/** A link that `network()` knows by name. */
export type NetworkPreset = keyof typeof NETWORK_PRESETS
