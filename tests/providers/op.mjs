// An independent, certified OpenID provider (the npm package oidc-provider) for the tests.
//
//   node op.mjs '{"redirectUris": ["http://…/callback"]}'
//
// The one argument is JSON; node.py documents and writes it. Prints "ready ISSUER" once it
// listens, keeps everything in memory, and ends with its standard input, so that it never
// outlives the tests.
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { webcrypto, X509Certificate } from 'node:crypto';

// Debian 12 has Node.js 18, which lacks these two names and nothing else that is needed.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { Provider } = await import('oidc-provider');

const options = JSON.parse(process.argv[2] ?? '{}');
const { host = '127.0.0.1', port = 0, users = {}, ttl = {}, tls } = options;

const client = {
  client_id: options.clientId,
  token_endpoint_auth_method: options.tokenAuthMethod,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: options.redirectUris ?? [],
  post_logout_redirect_uris: options.postLogoutRedirectUris ?? [],
  id_token_signed_response_alg: options.idTokenAlgorithm,
};
const secretless = ['none', 'private_key_jwt', 'tls_client_auth'];
if (!secretless.includes(options.tokenAuthMethod)) client.client_secret = options.clientSecret;
if (options.clientKeys) client.jwks = { keys: options.clientKeys };
if (options.clientName) client.tls_client_auth_san_dns = options.clientName;
if (options.userinfoAlgorithm) client.userinfo_signed_response_alg = options.userinfoAlgorithm;
if (options.resource) client.grant_types.push('client_credentials');
if (options.backchannelLogoutUri) {
  client.backchannel_logout_uri = options.backchannelLogoutUri;
  client.backchannel_logout_session_required = true;
}

function findAccount(_ctx, id) {
  const claims = users[id];
  return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
}

const configuration = {
  clients: [client],
  jwks: { keys: options.keys },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  findAccount,
  claims: {
    openid: ['sub', 'sid'],
    profile: ['name', 'given_name', 'family_name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  conformIdTokenClaims: options.claimsInUserinfoOnly ?? false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: () => true,
  ttl: {
    AccessToken: 600, AuthorizationCode: 60, Grant: 86400, IdToken: 3600,
    Interaction: 600, RefreshToken: 86400, Session: 86400, ...ttl,
  },
  cookies: { keys: ['only-for-tests-on-this-machine'] },
  features: {
    devInteractions: { enabled: true },
    jwtUserinfo: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: {
      enabled: options.pushed !== 'off',
      requirePushedAuthorizationRequests: options.pushed === 'required',
    },
    mTLS: {
      enabled: Boolean(tls),
      tlsClientAuth: true,
      getCertificate: (ctx) => {
        const { raw } = ctx.socket.getPeerCertificate?.() ?? {};
        return raw && new X509Certificate(raw).toString();
      },
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns'
        && ctx.socket.getPeerCertificate().subjectaltname === `DNS:${expected}`,
    },
  },
  // Its own fetch refuses private addresses, but the back-channel goes to this machine.
  fetch: (url, { dispatcher, ...init }) => fetch(url, init),
};
if (options.resource) {
  const { audience, format, scope, algorithm } = options.resource;
  configuration.features.clientCredentials = { enabled: true };
  configuration.features.resourceIndicators = {
    enabled: true,
    useGrantedResource: () => true,
    getResourceServerInfo: () => ({
      scope, audience, accessTokenFormat: format, jwt: { sign: { alg: algorithm } },
    }),
  };
}
if (options.skipConsent) configuration.loadExistingGrant = grantEverything;

async function grantEverything(ctx) {
  const { provider, session, client: { clientId }, params } = ctx.oidc;
  const known = session.grantIdFor(clientId);
  if (known) return provider.Grant.find(known);
  const grant = new provider.Grant({ accountId: session.accountId, clientId });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, params.scope);
  await grant.save();
  return grant;
}

// The issuer names the port, so the port comes first. With TLS there is a second one, for clients
// that show a certificate: the first asks for none, as browsers would bother people with it.
const server = tls ? createSecureServer(tls) : createServer();
const aliases = tls && createSecureServer({ ...tls, requestCert: true });
if (aliases) await new Promise((done) => aliases.listen(0, host, done));
server.listen(port, host, () => {
  const scheme = tls ? 'https' : 'http';
  const issuer = options.issuer ?? `${scheme}://${host}:${server.address().port}`;
  if (aliases) {
    const there = `https://${host}:${aliases.address().port}`;
    configuration.clientAuthMethods = ['tls_client_auth'];
    configuration.discovery = {
      mtls_endpoint_aliases: {
        token_endpoint: `${there}/token`,
        revocation_endpoint: `${there}/token/revocation`,
        pushed_authorization_request_endpoint: `${there}/request`,
      },
    };
  }
  const callback = new Provider(issuer, configuration).callback();
  for (const each of [server, aliases]) each?.on('request', callback);
  process.stdout.write(`ready ${issuer}\n`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
