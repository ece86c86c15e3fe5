//! A directory as an ext4 image: the same files give the same image.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::step;

const UUID: &str = "5f6c1b0e-92f4-4f0a-8d3e-0b7a52c6d901";
const HASH_SEED: &str = "5f6c1b0e-92f4-4f0a-8d3e-0b7a52c6d902";
const ROOT_INODE: usize = 2;
/// The first that is neither reserved nor that of `lost+found`.
const FIRST_INODE: usize = 12;

/// Writes an image of that size, such as `2G`; only what is written takes space.
pub(super) fn write(directory: &Path, image: &Path, size: &str) -> Result<()> {
    step::run(
        "set the times of the disk's files",
        Command::new("find").arg(directory).args([
            "-exec",
            "touch",
            "--no-dereference",
            "--date=@0",
            "{}",
            "+",
        ]),
    )?;
    step::run(
        "write the runtimes' disk",
        command("mke2fs")
            .args(["-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-U", UUID])
            .args(["-E", &format!("hash_seed={HASH_SEED},root_owner=0:0"), "-d"])
            .args([directory, image])
            .arg(size),
    )?;
    set_change_times(directory, image)
}

/// A file's change time can't be set in the directory, and mke2fs copies it.
fn set_change_times(directory: &Path, image: &Path) -> Result<()> {
    let files = step::output("find", [directory])?.lines().count();
    let mut orders = String::new();
    for inode in std::iter::once(ROOT_INODE).chain(FIRST_INODE..FIRST_INODE + files) {
        // A string takes it.
        let _ = writeln!(orders, "set_inode_field <{inode}> ctime @0");
    }
    let list = image.with_extension("orders");
    fs::write(&list, orders).with_context(|| format!("can't write {}", list.display()))?;
    // It prints every order.
    let output = command("debugfs").arg("-w").arg("-f").arg(&list).arg(image).output();
    let output = output.context("can't run debugfs: is it installed?")?;
    if !output.status.success() {
        bail!("debugfs can't set the times in {}: {}", image.display(), output.status);
    }
    Ok(())
}

fn command(program: &str) -> Command {
    let mut command = Command::new(format!("/sbin/{program}"));
    // Seconds since 1970; 0 would mean now.
    command.env("E2FSPROGS_FAKE_TIME", "1");
    command
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::write;

    fn image(directory: &Path, name: &str, content: &str) -> Vec<u8> {
        let (tree, image) = (directory.join(name), directory.join(name).with_extension("ext4"));
        fs::create_dir_all(tree.join("a/b")).expect("the directory can be written");
        fs::write(tree.join("a/b/c"), content).expect("the file can be written");
        write(&tree, &image, "8M").expect("an image can be made");
        fs::read(&image).expect("the image is there")
    }

    #[test]
    fn image_depends_on_the_files_alone() {
        let directory = std::env::temp_dir().join(format!("fragwatch-ext4-{}", std::process::id()));
        let first = image(&directory, "first", "content");
        let second = image(&directory, "second", "content");
        let third = image(&directory, "third", "another");
        fs::remove_dir_all(&directory).expect("the directory can be removed");
        assert!(first == second, "the images differ");
        assert!(first != third, "the images are the same");
    }
}
