/** Which destinations are reached without the upstream proxy. */
import { BlockList, isIP } from 'node:net'

/**
 * Whether a destination is reached without the proxy. Names are compared as names: nothing is resolved for it.
 *
 * @param host - Name or address; brackets and upper case do not matter.
 * @param noProxy - `name` (that name alone), `.suffix` and `*.suffix` (the names under it), each also with `:port`; `*` for
 *   everything; `<local>` for names without a dot; `10.0.0.0/8` for a range of addresses. IPv6 addresses may stand in
 *   brackets, and must where a port follows.
 */
export function bypassesProxy(host: string, port: number, noProxy: readonly string[]): boolean {
  const name = normalized(host)
  return noProxy.some((entry) => {
    const text = entry.trim()
    if (text === '<local>') return isIP(name) === 0 && !name.includes('.')
    if (text.includes('/')) return isInRange(name, text)
    const [, pattern = '', onlyPort] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(text) ?? []
    const wanted = normalized(pattern)
    if (wanted === '' || (onlyPort !== undefined && Number(onlyPort) !== port)) return false
    if (wanted === '*') return true
    const suffix = wanted.startsWith('*.') ? wanted.slice(1) : wanted
    return suffix.startsWith('.') ? name.endsWith(suffix) && name.length > suffix.length : name === suffix
  })
}

function isInRange(address: string, range: string): boolean {
  const [, network = '', length = ''] = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/i.exec(range) ?? []
  const family = isIP(network)
  if (family === 0 || family !== isIP(address) || Number(length) > (family === 4 ? 32 : 128)) return false
  const name = family === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(network, Number(length), name)
  return list.check(address, name)
}

/** Lower case, without brackets and the dot of the root; IPv6 addresses in their canonical text. */
function normalized(host: string): string {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '')
  if (bare.includes(':') && URL.canParse(`http://[${bare}]`)) return new URL(`http://[${bare}]`).hostname.slice(1, -1)
  return bare.replace(/\.$/, '')
}
