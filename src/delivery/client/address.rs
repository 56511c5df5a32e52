//! What an IP address is: of the internet, of a local network, of this machine, or of nothing that takes messages. Pure.
//!
//! Sources: the IANA special-purpose registries (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), and the
//! metadata addresses that the cloud providers document. Whether an address may be reached is decided in `guard`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Public,
    /// RFC 1918, carrier-grade NAT, ULA, and what is set aside for documents and benchmarks.
    Private,
    Loopback,
    LinkLocal,
    /// Answers whoever asks with the credentials of a virtual machine.
    Metadata,
    Unspecified,
    Multicast,
    Broadcast,
    /// Not in use.
    Reserved,
}

/// AWS and most others; AWS over IPv6; Alibaba; Oracle; Azure's host.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// What an address is by itself; what it carries is another of its [`faces`].
pub(super) fn class(address: IpAddr) -> Class {
    if METADATA.contains(&address) {
        return Class::Metadata;
    }
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::LinkLocal,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Class::Private,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Private,
        [255, 255, 255, 255] => Class::Broadcast,
        [224..=239, ..] => Class::Multicast,
        [240..=255, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Loopback;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        // ULA; site-local of old; documentation; discard.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
            Class::Private
        }
        [0x100, 0, 0, 0, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

/// The addresses that a packet to this one may end at: itself, and the IPv4 address that it carries. A mapped address is nothing
/// but the one it carries.
pub(super) fn faces(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let (own, carried) = match address {
        IpAddr::V4(_) => (Some(address), None),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(mapped) => (None, Some(mapped)),
            None => (Some(address), carried(v6)),
        },
    };
    own.into_iter().chain(carried.map(IpAddr::V4))
}

fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // ::/96, IPv4-compatible; :: and ::1 are something of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        // IPv4-translated, RFC 2765.
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        // NAT64: the well-known prefix and the local one, as far as it is used with 96 bits.
        [0x64, 0xff9b, 0 | 1, .., high, low] => v4(high, low),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo hides the client's address by inverting it.
        [0x2001, 0, .., high, low] => v4(!high, !low),
        // ISATAP, in any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| unreachable!("{text} is an address"))
    }

    #[test]
    fn guard_every_address_has_its_class() {
        for (class, texts) in [
            (
                Class::Public,
                "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 2606:4700::1111 169.253.0.1",
            ),
            (
                Class::Private,
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.255.255 100.64.0.1 100.127.255.255 fd12::1 fc00::1",
            ),
            (
                Class::Private,
                "192.0.2.2 198.51.100.1 203.0.113.9 198.18.0.1 198.19.255.1 192.0.0.1 fec0::1 2001:db8::1",
            ),
            (Class::Loopback, "127.0.0.1 127.255.255.254 ::1"),
            (Class::LinkLocal, "169.254.0.1 169.254.255.255 fe80::1 febf:ffff::1"),
            (Class::Metadata, "169.254.169.254 fd00:ec2::254 100.100.100.200 192.0.0.192 168.63.129.16"),
            (Class::Unspecified, "0.0.0.0 0.1.2.3 0.255.255.255 ::"),
            (Class::Multicast, "224.0.0.1 239.255.255.255 ff02::1 ff0e::fb"),
            (Class::Broadcast, "255.255.255.255"),
            (Class::Reserved, "240.0.0.1 255.255.255.254 100::1"),
        ] {
            for text in texts.split(' ') {
                assert_eq!(super::class(ip(text)), class, "{text}");
            }
        }
    }

    #[test]
    fn guard_an_address_that_carries_another_shows_both() {
        for (text, expected) in [
            ("192.168.1.5", "192.168.1.5"),
            ("::ffff:169.254.169.254", "169.254.169.254"),
            ("::ffff:a9fe:a9fe", "169.254.169.254"),
            ("::169.254.169.254", "::169.254.169.254 169.254.169.254"),
            ("::ffff:0:169.254.169.254", "::ffff:0:169.254.169.254 169.254.169.254"),
            ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe 169.254.169.254"),
            ("64:ff9b:1::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe 169.254.169.254"),
            ("2002:a9fe:a9fe::1", "2002:a9fe:a9fe::1 169.254.169.254"),
            ("2001:0:1:2:3:4:5601:5601", "2001:0:1:2:3:4:5601:5601 169.254.169.254"),
            ("fd00::5efe:a9fe:a9fe", "fd00::5efe:a9fe:a9fe 169.254.169.254"),
            ("::1", "::1"),
            ("::", "::"),
            ("2606:4700::1111", "2606:4700::1111"),
        ] {
            let shown: Vec<IpAddr> = faces(ip(text)).collect();
            let expected: Vec<IpAddr> = expected.split(' ').map(ip).collect();
            assert_eq!(shown, expected, "{text}");
        }
    }
}
