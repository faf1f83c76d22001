//! One call as bytes.

use super::codec::{Reader, Writer};
use crate::blocks::{Blocks, Events};
use crate::clocks::Clocks;
use crate::controller::blocking::Blocked;
use crate::controller::call::{Call, Dialogue, End, MediaStream, Party, word};
use crate::controller::mux::Mux;
use crate::interface::Interface;
use crate::plan::{PortPair, StreamId};

/// `interfaces` are those of the configuration; an end is written as the number of its interface.
pub(super) fn write(call_id: &[u8], call: &Call, interfaces: &[Interface]) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(256));
    writer.bytes(call_id);
    writer.time(call.created);
    writer.time(call.signalled);
    writer.optional(call.ends_at, Writer::time);
    writer.count(call.dialogues.len());
    for dialogue in &call.dialogues {
        write_dialogue(&mut writer, dialogue, interfaces);
    }
    writer.0
}

fn write_dialogue(writer: &mut Writer, dialogue: &Dialogue, interfaces: &[Interface]) {
    writer.bytes(&dialogue.offerer);
    writer.optional(dialogue.answerer.as_deref(), Writer::bytes);
    writer.optional(dialogue.via_branch.as_deref(), Writer::bytes);
    for label in &dialogue.labels {
        writer.optional(label.as_deref(), Writer::bytes);
    }
    let Blocked { everybody, parties: [a, b] } = dialogue.blocked;
    for blocks in [everybody, a, b] {
        writer.u8(blocks.to_bits());
    }
    writer.time(dialogue.created);
    writer.u8(u8::from(dialogue.answered));
    writer.count(dialogue.streams.len());
    for stream in &dialogue.streams {
        writer.optional(stream.as_ref(), |writer, stream| write_stream(writer, stream, interfaces));
    }
}

fn write_stream(writer: &mut Writer, stream: &MediaStream, interfaces: &[Interface]) {
    writer.u64(stream.id.0);
    writer.bytes(stream.kind.as_bytes());
    writer.bytes(stream.protocol.as_bytes());
    for end in &stream.ends {
        let number = interfaces.iter().position(|interface| *interface == end.interface);
        // One that is not among them cannot be read back: the number is past the last.
        writer.count(number.unwrap_or(interfaces.len()));
        writer.address(end.ports.rtp);
        writer.address(end.ports.rtcp);
    }
    for party in &stream.parties {
        writer.optional(party.rtp, Writer::address);
        writer.optional(party.rtcp, Writer::address);
        writer.u8(u8::from(party.held));
        writer.u8(u8::from(party.strict_source));
    }
    writer.u8(stream.mux.to_bits());
    let clocks = stream.clocks.noted();
    writer.count(clocks.len());
    for (payload_type, hertz) in clocks {
        writer.u8(payload_type);
        writer.u64(hertz.into());
    }
    stream.events.to_bits().into_iter().for_each(|half| writer.u64(half));
    writer.u8(u8::from(stream.wary));
}

/// The call-id and the call, if the bytes are what [`write`] gave with the same interfaces.
pub(super) fn read_untrusted(bytes: &[u8], interfaces: &[Interface]) -> Option<(Vec<u8>, Call)> {
    let mut reader = Reader(bytes);
    let call_id = reader.bytes()?.to_vec();
    let created = reader.time()?;
    let signalled = reader.time()?;
    let ends_at = reader.optional(Reader::time)?;
    let dialogues = reader.several(|reader| read_dialogue(reader, interfaces))?;
    reader.ended((call_id, Call { created, signalled, ends_at, check_at: created, dialogues }))
}

fn read_dialogue(reader: &mut Reader<'_>, interfaces: &[Interface]) -> Option<Dialogue> {
    let offerer = reader.bytes()?.to_vec();
    let answerer = reader.optional(Reader::bytes)?.map(<[u8]>::to_vec);
    let via_branch = reader.optional(Reader::bytes)?.map(<[u8]>::to_vec);
    let labels = [read_label(reader)?, read_label(reader)?];
    let everybody = read_blocks(reader)?;
    let blocked = Blocked { everybody, parties: [read_blocks(reader)?, read_blocks(reader)?] };
    Some(Dialogue {
        offerer,
        answerer,
        via_branch,
        labels,
        blocked,
        created: reader.time()?,
        answered: reader.flag()?,
        streams: reader
            .several(|reader| reader.optional(|reader| read_stream(reader, blocked.of_both(), interfaces)))?,
    })
}

#[allow(clippy::option_option)] // "There is none" and "it cannot be read" are two things.
fn read_label(reader: &mut Reader<'_>) -> Option<Option<Box<[u8]>>> {
    reader.optional(|reader| reader.bytes().map(Into::into))
}

fn read_blocks(reader: &mut Reader<'_>) -> Option<Blocks> {
    Blocks::from_bits(reader.u8()?)
}

fn read_stream(reader: &mut Reader<'_>, blocks: [Blocks; 2], interfaces: &[Interface]) -> Option<MediaStream> {
    Some(MediaStream {
        id: StreamId(reader.u64()?),
        kind: word(reader.text()?.as_bytes()),
        protocol: word(reader.text()?.as_bytes()),
        ends: [read_end(reader, interfaces)?, read_end(reader, interfaces)?],
        parties: [read_party(reader)?, read_party(reader)?],
        mux: Mux::from_bits(reader.u8()?)?,
        clocks: read_clocks(reader)?,
        events: Events::from_bits([reader.u64()?, reader.u64()?]),
        blocks,
        wary: reader.flag()?,
    })
}

fn read_end(reader: &mut Reader<'_>, interfaces: &[Interface]) -> Option<End> {
    let interface = interfaces.get(usize::from(reader.u16()?))?.clone();
    let ports = PortPair { rtp: reader.address()?, rtcp: reader.address()? };
    let ours = ports.rtp.ip() == interface.local && ports.rtcp.ip() == interface.local;
    ours.then_some(End { interface, ports })
}

fn read_party(reader: &mut Reader<'_>) -> Option<Party> {
    Some(Party {
        rtp: reader.optional(Reader::address)?,
        rtcp: reader.optional(Reader::address)?,
        held: reader.flag()?,
        strict_source: reader.flag()?,
    })
}

fn read_clocks(reader: &mut Reader<'_>) -> Option<Clocks> {
    let mut clocks = Clocks::default();
    for (payload_type, hertz) in
        reader.several(|reader| Some((reader.u8()?, u32::try_from(reader.u64()?).ok()?)))?
    {
        clocks.note(payload_type, hertz);
    }
    Some(clocks)
}
