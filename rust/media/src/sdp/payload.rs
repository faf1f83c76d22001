//! The payload types whose meaning is fixed (RFC 3551 section 6, tables 4 and 5).

/// What `a=rtpmap` would say of a static payload type. rtpengine writes it out when its author left it out.
pub(super) fn static_encoding(payload: &[u8]) -> Option<&'static str> {
    Some(match payload {
        b"0" => "PCMU/8000",
        b"3" => "GSM/8000",
        b"4" => "G723/8000",
        b"5" => "DVI4/8000",
        b"6" => "DVI4/16000",
        b"7" => "LPC/8000",
        b"8" => "PCMA/8000",
        b"9" => "G722/8000",
        b"10" => "L16/44100/2",
        b"11" => "L16/44100",
        b"12" => "QCELP/8000",
        b"13" => "CN/8000",
        b"14" => "MPA/90000",
        b"15" => "G728/8000",
        b"16" => "DVI4/11025",
        b"17" => "DVI4/22050",
        b"18" => "G729/8000",
        b"25" => "CelB/90000",
        b"26" => "JPEG/90000",
        b"28" => "nv/90000",
        b"31" => "H261/90000",
        b"32" => "MPV/90000",
        b"33" => "MP2T/90000",
        b"34" => "H263/90000",
        _ => return None,
    })
}
