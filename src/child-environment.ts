/** The environment for programs whose traffic is to pass through a mitm. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'

/**
 * The variables by which programs find the proxy and trust its authority.
 *
 * @param url - Of the proxy.
 * @param certificates - Of the authorities that are to be trusted beside Node's roots, in PEM.
 * @param folder - Where files for the trust are written.
 */
export function childEnvironment(url: string, certificates: readonly string[], folder: string): Record<string, string> {
  const extra = join(folder, 'ca.pem')
  const bundle = join(folder, 'ca-and-roots.pem')
  const trusted = certificates.map((certificate) => certificate.trimEnd())
  writeFileSync(extra, [...trusted, ''].join('\n'))
  // Most programs trust only what is in the file that they are given.
  writeFileSync(bundle, [...trusted, ...rootCertificates, ''].join('\n'))
  return {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    http_proxy: url,
    https_proxy: url,
    // Empty: what goes to loopback addresses is to be seen too.
    NO_PROXY: '',
    no_proxy: '',
    NODE_EXTRA_CA_CERTS: extra,
    // Node 22.21 and 24.5 and newer: fetch and node:http obey the variables above.
    NODE_USE_ENV_PROXY: '1',
    SSL_CERT_FILE: bundle,
    CURL_CA_BUNDLE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
  }
}
