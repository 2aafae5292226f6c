//! The migrations are embedded by a macro that cannot watch a folder by itself.

fn main() {
    println!("cargo:rerun-if-changed=../../sql/migrations");
    println!("cargo:rerun-if-changed=../../sql/queries");
}
