//! `traider-emulator`: see [`emulator::cli`].

fn main() -> std::process::ExitCode {
    emulator::cli::main()
}
