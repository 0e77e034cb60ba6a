"""Where a repository's host really is: resolved once, looked at, and pinned for git.

Refused are addresses at which no repository can rightly be, such as a cloud's metadata service,
and names that turn out to be this machine. Private networks are allowed: repositories live there.
"""

from __future__ import annotations

import ipaddress
import os
import socket

from products.git.errors import SourceUnreachableError
from products.git.urls import GitUrl, is_this_machine

#: Variables that git's HTTP library reads; an operator's proxy and certificates are honoured.
PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY")
# The metadata services of clouds that are not link-local.
_METADATA = frozenset(
    {"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"}
)

# Networks of IPv6 whose last 32 bits are an IPv4 address.
_CARRYING = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)

# Bits 32 to 63 of an ISATAP address, without the bit of global uniqueness.
_ISATAP = 0x00005EFE
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def addresses_of(url: GitUrl) -> list[str]:
    """Return the addresses of the host, best first; none for a path or where a proxy resolves.

    Raises SourceUnreachableError for a name that has none, and for an address that is refused.
    """
    if url.scheme == "file" or _goes_through_proxy(url):
        return []
    try:
        answers = socket.getaddrinfo(
            url.bare_host, url.effective_port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except OSError as error:
        raise SourceUnreachableError(
            str(url),
            f"the name {url.host} cannot be resolved. Check its spelling and this "
            "machine's network.",
        ) from error
    found = list(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))
    for text in found:
        if _is_refused(ipaddress.ip_address(text), here=is_this_machine(url)):
            raise SourceUnreachableError(
                str(url),
                f"its host is at {text}, where no repository is looked for. Check the address.",
            )
    return found


def _goes_through_proxy(url: GitUrl) -> bool:
    if url.scheme == "ssh" or is_this_machine(url):
        return False
    return any(os.environ.get(name) for name in PROXY_VARIABLES)


def _is_refused(address: _Address, *, here: bool) -> bool:
    plain = address if isinstance(address, ipaddress.IPv4Address) else _carried(address) or address
    if plain.is_loopback:
        return not here
    return (
        plain.is_link_local
        or plain.is_multicast
        or plain.is_unspecified
        or str(plain) in _METADATA
        or (plain.version == 4 and (plain.is_reserved or plain in _THIS_NETWORK))
    )


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address to which packets for an IPv6 address may go in the end, if any.

    References: RFC 2765 (translated), 3056 (6to4), 4291 (2.5.5), 4380 (Teredo), 5214 (ISATAP),
    6052 and 8215 (NAT64).
    """
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    # The unspecified address and the loopback one are of IPv6 itself.
    if address.is_unspecified or address.is_loopback:
        return None
    is_isatap = int(address) >> 32 & 0xFDFFFFFF == _ISATAP
    if is_isatap or any(address in network for network in _CARRYING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
