//! The recipes of docs/reproduce.md, typed as they stand there: each code block is a script. What they
//! begin with, a bundle, a module, two runtimes and two tests, is what a reader has.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::{Context, Result, bail};

use crate::container;

const PAGE: &str = include_str!("../../../docs/reproduce.md");

/// Where they are typed.
pub(super) const DIRECTORY: &str = "/recipes";
/// What is typed.
const SCRIPT: &str = "/recipes/script";

/// Programs that a shell finds.
const APPLETS: [&str; 6] = ["sh", "insmod", "sysctl", "unshare", "cat", "grep"];

/// runc, which can't change the root of an initramfs but with another option; and the runtime's two versions.
const RUNC: &str = "#!/bin/sh\nshift\nexec /sbin/runc run --no-pivot \"$@\"\n";

/// What fragwatch exits with is printed.
const FRAGWATCH: &str =
    "#!/bin/sh\n/bin/fragwatch \"$@\"\ncode=$?\necho \"fragwatch exited $code\"\nexit $code\n";

/// The test of a CNI plug-in: no network can be added, and that is reported.
const PLUGIN_TEST: &str =
    "#!/bin/sh\nif unshare -n true 2>error; then exit 1; fi\ngrep -q . error\n";

/// The test of an operator: the container does not start, and that is reported.
const OPERATOR_TEST: &str =
    "#!/bin/sh\nif runc run --bundle limited web 2>error; then exit 1; fi\ngrep -q . error\n";

/// The settings of two images. Those of the second are the kernel's own.
const SETTINGS: [(&str, &str); 2] = [
    ("image-a.conf", "vm.watermark_scale_factor = 100\n"),
    ("image-b.conf", "vm.watermark_scale_factor = 10\n"),
];

/// A recipe.
pub(super) struct Recipe {
    /// Its heading, in small letters with hyphens.
    pub(super) name: String,
    text: String,
}

/// All recipes of the page.
pub(super) fn all() -> Result<Vec<Recipe>> {
    let (_, recipes) = PAGE.split_once("\n## Recipes\n").context("the page has no recipes")?;
    recipes.split("\n### ").skip(1).map(recipe).collect()
}

fn recipe(section: &'static str) -> Result<Recipe> {
    let (heading, rest) = section.split_once('\n').context("a recipe is a heading alone")?;
    let block = rest.split_once("```\n").and_then(|(_, rest)| rest.split_once("```"));
    let Some((text, _)) = block else { bail!("{heading} has no code block") };
    let name = heading.to_lowercase().replace(['’', '\''], "").replace(' ', "-");
    Ok(Recipe { name, text: text.to_owned() })
}

/// Makes what the recipes begin with. The bundle is there.
pub(super) fn prepare() -> Result<()> {
    let write = |path: &str, text: &str| {
        let path = format!("{DIRECTORY}/{path}");
        fs::write(&path, text).with_context(|| format!("can't write {path}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("can't make {path} executable"))
    };
    let directory = |path: &str| {
        fs::create_dir_all(path).with_context(|| format!("can't create directory {path}"))
    };
    let link = |to: &str, path: &str| {
        symlink(to, path).with_context(|| format!("can't make {path} a link to {to}"))
    };
    directory(&format!("{DIRECTORY}/bin"))?;
    for applet in APPLETS {
        link("/bin/busybox", &format!("{DIRECTORY}/bin/{applet}"))?;
    }
    link("/bin/busybox", "/bin/sh")?;
    link("/bin/busybox", &format!("{DIRECTORY}/bin/true"))?;
    for runtime in ["bin/runc", "runc-old", "runc-new"] {
        write(runtime, RUNC)?;
    }
    write("bin/fragwatch", FRAGWATCH)?;
    write("add-and-check-the-error.sh", PLUGIN_TEST)?;
    write("operator-test.sh", OPERATOR_TEST)?;
    for (name, text) in SETTINGS {
        write(name, text)?;
    }
    link("/fragwatch_pernet.ko", &format!("{DIRECTORY}/my_module.ko"))?;
    // One bundle with the limit above its container, and one without.
    container::configure(&super::cgroup(true), &["/bin/busybox", "true"])?;
    for path in ["bin", "proc", "dev"] {
        directory(&format!("{DIRECTORY}/limited/rootfs/{path}"))?;
    }
    for file in ["config.json", "rootfs/bin/busybox"] {
        let (from, to) =
            (format!("{}/{file}", container::BUNDLE), format!("{DIRECTORY}/limited/{file}"));
        fs::copy(&from, &to).with_context(|| format!("can't copy {from} to {to}"))?;
    }
    container::configure(&super::cgroup(false), &["/bin/busybox", "true"])?;
    link(container::BUNDLE, &format!("{DIRECTORY}/bundle"))
}

impl Recipe {
    /// What was typed on the host.
    pub(super) fn typed(text: &str) -> Self {
        Self { name: "typed".to_owned(), text: text.to_owned() }
    }

    /// The shell that types it.
    pub(super) fn command(&self) -> Result<std::process::Command> {
        fs::write(SCRIPT, &self.text).with_context(|| format!("can't write {SCRIPT}"))?;
        let mut command = std::process::Command::new("/bin/busybox");
        command
            .args(["sh", SCRIPT])
            .current_dir(DIRECTORY)
            .env("PATH", format!("{DIRECTORY}/bin:/bin:/sbin"));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn page_has_five_recipes() {
        let recipes = super::all().expect("each has a code block");
        let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "my-kernel-module",
                "my-cni-plug-in",
                "my-runtime-upgrade",
                "my-operators-error-handling",
                "my-node-images-settings"
            ]
        );
        assert!(recipes.iter().all(|recipe| recipe.text.contains("fragwatch reproduce")));
    }
}
