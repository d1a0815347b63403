/** Both majors of MSW, for specs that hold for either. */
import 'playwright-mitm/event-source'
import * as msw2 from 'msw-2'
import * as msw3 from 'msw-3'
import { graphql as graphql3 } from 'msw-3/graphql'

type Msw = Pick<typeof msw2, 'http' | 'HttpResponse' | 'passthrough' | 'bypass' | 'delay' | 'ws' | 'sse'>

/** One major of MSW. */
export interface MswMajor {
  readonly name: 'msw 2' | 'msw 3'
  readonly msw: Msw
  /** `graphql` for one endpoint. */
  graphqlAt(url: string): Pick<typeof msw2.graphql, 'query' | 'mutation'>
  /** Why `sse()` cannot be used on this Node; undefined where it can. */
  readonly whyNoSse: string | undefined
}

/** Both, the older first. */
export const MSW_MAJORS: readonly MswMajor[] = [
  { name: 'msw 2', msw: msw2, graphqlAt: (url) => msw2.graphql.link(url), whyNoSse: undefined },
  // A boundary: the two differ in types that specs do not look at.
  {
    name: 'msw 3',
    msw: msw3 as unknown as Msw,
    graphqlAt: (url) => graphql3.link(url) as unknown as ReturnType<MswMajor['graphqlAt']>,
    whyNoSse: 'withResolvers' in Promise ? undefined : 'sse() of msw 3 needs Promise.withResolvers(), of Node 22',
  },
]
