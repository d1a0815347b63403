/** The parts of a filter that say where a request goes, how, and who made it. */
import { types } from 'node:util'

import type { Exchange } from '../exchange.ts'
import { possibleSources, TRAFFIC_SOURCES } from '../source.ts'
import type { TrafficSource } from '../source.ts'
import { isWebSocketHandshake, webSocketUrl } from '../web-socket-handshake.ts'
import { compileTest, valuePart } from './filter-part.ts'
import type { FilterPart, ValueTest } from './filter-part.ts'
import { invalidFilter } from './filter-text.ts'
import { compileHostPattern } from './host-pattern.ts'
import { authoritiesOf, locate } from './request-location.ts'
import type { RequestLocation } from './request-location.ts'
import { compilePathGlob, compileUrlGlob } from './url-glob.ts'
import type { Forecast } from './url-glob.ts'

/** Compiles `method`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileMethod(value: unknown): FilterPart {
  const test = compileTest('method', value, 'an HTTP method such as "POST"', (literal) => {
    if (typeof literal !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(literal)) return undefined
    const upper = literal.toUpperCase()
    return {
      text: upper,
      test: (actual) => String(actual).length === upper.length && String(actual).toUpperCase() === upper,
    }
  })
  return valuePart('method', test, test.text, ({ request }) => request.method)
}

/** Compiles `host`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileHost(value: unknown): FilterPart {
  if (typeof value === 'string') {
    const { matches, forecast, isForAll } = compileHostPattern('host', value)
    const part = locationPart('host', value, ({ host, port }) => matches(host, port), 'authority')
    return { ...part, forecast, isForConnections: true, isForDestinations: true, isForAll }
  }
  const test = compileTest('host', value, 'a host such as "api.test" or "api.test:8443"', () => undefined)
  return {
    ...locationPart('host', test.text, ({ authority }) => test.test(authority), 'authority'),
    isForConnections: true,
    isForDestinations: types.isRegExp(value),
    forecast(destination, connection) {
      // A function may count its calls, or look at more than it is given: it is asked only when something depends on it.
      if (!types.isRegExp(value) && !connection) return 'some'
      const { https, http } = authoritiesOf(destination)
      const isForHttps = test.test(https)
      const isForHttp = http === https ? isForHttps : test.test(http)
      if (isForHttps && isForHttp) return 'all'
      return isForHttps || isForHttp ? 'some' : 'none'
    },
  }
}

/** Compiles `protocol`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileProtocol(value: unknown): FilterPart {
  const test = compileTest('protocol', value, 'a version of HTTP: "http/1.0", "http/1.1" or "http/2"', (literal) => {
    if (typeof literal !== 'string' || !/^(?:http\/(?:1\.[01]|[123](?:\.0)?)|h[23])$/i.test(literal)) return undefined
    const wanted = normalVersion(literal)
    return { text: wanted, test: (actual) => normalVersion(String(actual)) === wanted }
  })
  return valuePart('protocol', test, `over ${test.text}`, ({ request }) => request.httpVersion)
}

/** Compiles `webSocket`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileWebSocket(value: unknown): FilterPart {
  if (typeof value !== 'boolean') throw invalidFilter('webSocket', value, 'true or false')
  const expected = value ? 'the handshake of a WebSocket' : 'no handshake of a WebSocket'
  return {
    key: 'webSocket',
    text: `that is ${expected}`,
    stage: 'head',
    matches: (exchange) => isWebSocketHandshake(exchange) === value,
    misses: (exchange) =>
      isWebSocketHandshake(exchange) === value ? [] : [`it is not ${expected}`.replace('not no', 'a')],
    isForWebSockets: true,
  }
}

/** Compiles `url`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileUrl(value: unknown): FilterPart {
  if (typeof value !== 'string') {
    const test = compileTest('url', value, 'a URL pattern, a RegExp, a matcher or a function', () => undefined)
    // A RegExp for the URLs of WebSockets names their scheme.
    const isForWebSockets = !types.isRegExp(value) || /ws/i.test(value.source)
    const matches = ({ href }: RequestLocation, exchange: Exchange): boolean =>
      test.test(href) || (isForWebSockets && isWebSocketHandshake(exchange) && test.test(webSocketUrl(href)))
    return { ...locationPart('url', test.text, matches, 'href'), text: test.text, isForWebSockets }
  }
  const glob = compileUrlGlob('url', value)
  const matches = (location: RequestLocation, exchange: Exchange): boolean =>
    glob.matches(location, () => isWebSocketHandshake(exchange))
  return {
    ...locationPart('url', value, matches, 'href'),
    text: value,
    isForWebSockets: glob.isForWebSockets,
    forecast: (destination) => glob.forecast(destination),
    isForConnections: !glob.needsPath,
    isForDestinations: !glob.needsPath,
    isForAll: glob.isForAll,
  }
}

/** Compiles `path`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compilePath(value: unknown): FilterPart {
  const test = compileTest('path', value, 'a path such as "/api/*"', (literal) => {
    if (typeof literal !== 'string') return undefined
    const pattern = compilePathGlob('path', literal)
    return { text: literal, test: (actual) => pattern.test(String(actual)) }
  })
  return locationPart('path', test.text, ({ path }) => test.test(path), 'path')
}

/** Compiles `source`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileSource(value: unknown): FilterPart {
  const expected = `one of ${TRAFFIC_SOURCES.map((source) => JSON.stringify(source)).join(', ')}, or an array of them`
  const test = compileTest('source', value, expected, sourceTest)
  return {
    ...valuePart('source', test, `from ${test.text}`, ({ source }) => source),
    isForConnections: true,
    forecast(_, connection): Forecast {
      if (!connection) return 'some'
      const possible = possibleSources(connection)
      const meant = possible.filter((source) => test.test(source))
      if (meant.length === possible.length) return 'all'
      return meant.length > 0 ? 'some' : 'none'
    },
  }
}

function sourceTest(literal: unknown): ValueTest | undefined {
  const wanted: readonly unknown[] = Array.isArray(literal) ? literal : [literal]
  const isSource = (each: unknown): each is TrafficSource => TRAFFIC_SOURCES.some((source) => source === each)
  if (wanted.length === 0 || !wanted.every(isSource)) return undefined
  return {
    text: Array.isArray(literal) ? wanted.join(' or ') : String(wanted[0]),
    test: (actual) => wanted.some((each) => each === actual),
  }
}

function normalVersion(version: string): string {
  return version
    .toLowerCase()
    .replace(/^h(\d)$/, 'http/$1')
    .replace(/^(http\/[23])\.0$/, '$1')
}

function locationPart(
  key: string,
  expected: string,
  matches: (location: RequestLocation, exchange: Exchange) => boolean,
  shown: 'href' | 'authority' | 'path',
): FilterPart {
  return {
    key,
    text: `with ${key} ${expected}`,
    stage: 'head',
    matches: (exchange) => matches(locate(exchange.request.url), exchange),
    misses(exchange) {
      const location = locate(exchange.request.url)
      return matches(location, exchange) ? [] : [`${key} is ${location[shown]}, expected ${expected}`]
    },
  }
}
