//! A serial port set as both ends agreed.
//!
//! Absent on purpose: modem lines. Opening a port raises DTR and RTS; nothing here reads DSR, which a pseudo-terminal does
//! not have.

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};

use super::address::{Flow, Line, Parity};

/// Sets a port that was just opened: raw bytes, this line, nothing of before.
///
/// Errors: it is no serial port, in use, or cannot do what was asked.
pub(super) fn set(port: impl AsFd, line: Line) -> io::Result<()> {
    let port = port.as_fd();
    let mut modes = tcgetattr(port).map_err(|problem| {
        io::Error::new(io::Error::from(problem).kind(), format!("no serial port: {problem}"))
    })?;
    // Two programs on one port would each get half of what a scale says.
    rustix::termios::ioctl_tiocexcl(port)?;
    arrange(&mut modes, line)?;
    tcsetattr(port, OptionalActions::Now, &modes)?;
    // The system call succeeds if any of it was taken.
    let taken = tcgetattr(port)?;
    if taken.output_speed() != line.baud {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the port does not do {} bits a second", line.baud),
        ));
    }
    tcflush(port, QueueSelector::IOFlush)?;
    Ok(())
}

fn arrange(modes: &mut Termios, line: Line) -> io::Result<()> {
    modes.make_raw();
    modes.input_modes.remove(InputModes::IXON | InputModes::IXOFF | InputModes::IXANY | InputModes::INPCK);
    let control = &mut modes.control_modes;
    control.remove(
        ControlModes::CSIZE
            | ControlModes::PARENB
            | ControlModes::PARODD
            | ControlModes::CSTOPB
            | ControlModes::CRTSCTS
            | ControlModes::HUPCL,
    );
    control.insert(ControlModes::CLOCAL | ControlModes::CREAD);
    control.insert(if line.bits == 7 { ControlModes::CS7 } else { ControlModes::CS8 });
    if line.stops == 2 {
        control.insert(ControlModes::CSTOPB);
    }
    match line.parity {
        Parity::None => {}
        Parity::Even => control.insert(ControlModes::PARENB),
        Parity::Odd => control.insert(ControlModes::PARENB | ControlModes::PARODD),
    }
    if line.parity != Parity::None {
        // A character whose check bit is wrong reads as NUL, so that no digit changes into another one.
        modes.input_modes.insert(InputModes::INPCK);
        modes.input_modes.remove(InputModes::IGNPAR | InputModes::PARMRK);
    }
    match line.flow {
        Flow::None => {}
        Flow::RtsCts => modes.control_modes.insert(ControlModes::CRTSCTS),
        Flow::XonXoff => modes.input_modes.insert(InputModes::IXON | InputModes::IXOFF),
    }
    if line.bits == 7 {
        modes.input_modes.insert(InputModes::ISTRIP);
    } else {
        modes.input_modes.remove(InputModes::ISTRIP);
    }
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes.set_speed(line.baud)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, openpt};

    /// A pseudo-terminal would not keep bits and parity, so what would be set is looked at.
    fn arranged(text: &str) -> (ControlModes, InputModes, u32) {
        let Ok(crate::Address::Serial(_, line)) = text.parse() else { panic!("{text}") };
        let mut modes = tcgetattr(openpt(OpenptFlags::RDWR).unwrap()).unwrap();
        arrange(&mut modes, line).unwrap();
        (modes.control_modes, modes.input_modes, modes.output_speed())
    }

    #[test]
    fn a_line_is_set_as_it_is_written() {
        let (control, input, baud) = arranged("serial:/dev/ttyS0?baud=19200&frame=7E1");
        assert_eq!(baud, 19_200);
        assert!(control.contains(ControlModes::PARENB | ControlModes::CLOCAL | ControlModes::CREAD));
        assert_eq!(control & ControlModes::CSIZE, ControlModes::CS7);
        assert!(!control.intersects(ControlModes::PARODD | ControlModes::CSTOPB | ControlModes::CRTSCTS));
        assert!(input.contains(InputModes::INPCK) && !input.intersects(InputModes::IXON | InputModes::ICRNL));

        let (control, input, _) = arranged("serial:/dev/ttyS0?frame=8O2&flow=rtscts");
        assert_eq!(control & ControlModes::CSIZE, ControlModes::CS8);
        assert!(control.contains(ControlModes::PARODD | ControlModes::CSTOPB | ControlModes::CRTSCTS));
        assert!(!input.contains(InputModes::ISTRIP));

        let (control, input, _) = arranged("serial:/dev/ttyS0?flow=xonxoff");
        assert!(input.contains(InputModes::IXON | InputModes::IXOFF));
        assert!(!control.intersects(ControlModes::CRTSCTS | ControlModes::PARENB));
    }
}
