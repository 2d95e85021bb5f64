//! The outermost sections of a component: what it imports, what it exports. Nested modules are stepped over, so
//! that this costs microseconds whatever the size. Nothing is validated here; the compiler validates, and the
//! empty linker is what withholds capabilities. This look is for refusing early and in clear words.

use crate::error::Cause;
use wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, Parser, Payload, TypeBounds,
};

/// What a component shows to the outside.
#[derive(Debug, Default)]
pub(super) struct Structure {
    pub imports: Vec<Import>,
    /// Names of exported instances.
    pub exports: Vec<String>,
}

/// One import.
#[derive(Debug)]
pub(super) struct Import {
    pub name: String,
    /// Whether it asks for anything but types.
    pub is_capability: bool,
}

/// One entry of the component's type index space: whether an instance of it would be a capability.
#[derive(Clone, Copy)]
enum TypeEntry {
    TypesOnly,
    Capability,
}

impl Structure {
    pub fn read(bytes: &[u8]) -> Result<Structure, Cause> {
        refuse_other_files(bytes)?;
        let mut structure = Structure::default();
        let mut types = Vec::new();
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        loop {
            let (consumed, payload) = match parser.parse(rest, true).map_err(malformed)? {
                Chunk::Parsed { consumed, payload } => (consumed, payload),
                Chunk::NeedMoreData(_) => return Err(truncated()),
            };
            rest = rest.get(consumed..).ok_or_else(truncated)?;
            match payload {
                Payload::End(_) => return Ok(structure),
                Payload::ModuleSection { unchecked_range, .. }
                | Payload::ComponentSection { unchecked_range, .. } => {
                    rest = rest.get(unchecked_range.len()..).ok_or_else(truncated)?;
                }
                other => structure.section(other, &mut types).map_err(malformed)?,
            }
        }
    }

    fn section(&mut self, payload: Payload<'_>, types: &mut Vec<TypeEntry>) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentTypeSection(reader) => {
                for ty in reader {
                    types.push(entry(&ty?));
                }
            }
            Payload::ComponentAliasSection(reader) => {
                for alias in reader {
                    if adds_a_type(&alias?) {
                        // Of an imported instance's types or an outer component's; neither is used as the
                        // type of an import by any toolchain, so it counts as a capability if it is.
                        types.push(TypeEntry::Capability);
                    }
                }
            }
            Payload::ComponentImportSection(reader) => {
                for import in reader {
                    let import = import?;
                    self.imports.push(Import {
                        name: import.name.name.to_owned(),
                        is_capability: is_capability(&import.ty, types),
                    });
                    if matches!(import.ty, ComponentTypeRef::Type(_)) {
                        types.push(TypeEntry::Capability);
                    }
                }
            }
            Payload::ComponentExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Instance => self.exports.push(export.name.name.to_owned()),
                        ComponentExternalKind::Type => types.push(TypeEntry::Capability),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn adds_a_type(alias: &ComponentAlias<'_>) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
    )
}

fn entry(ty: &ComponentType<'_>) -> TypeEntry {
    match ty {
        ComponentType::Instance(declarations) if declarations.iter().all(declares_a_type) => {
            TypeEntry::TypesOnly
        }
        _ => TypeEntry::Capability,
    }
}

/// Functions, fresh resources and nested instances are capabilities; everything else describes values.
fn declares_a_type(declaration: &InstanceTypeDeclaration<'_>) -> bool {
    match declaration {
        InstanceTypeDeclaration::Export { ty, .. } => {
            matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_)))
        }
        InstanceTypeDeclaration::CoreType(_)
        | InstanceTypeDeclaration::Type(_)
        | InstanceTypeDeclaration::Alias(_) => true,
    }
}

fn is_capability(ty: &ComponentTypeRef, types: &[TypeEntry]) -> bool {
    match ty {
        ComponentTypeRef::Instance(index) => {
            !matches!(types.get(*index as usize), Some(TypeEntry::TypesOnly))
        }
        ComponentTypeRef::Type(TypeBounds::Eq(_)) => false,
        _ => true,
    }
}

fn refuse_other_files(bytes: &[u8]) -> Result<(), Cause> {
    if Parser::is_component(bytes) {
        Ok(())
    } else if Parser::is_core_wasm(bytes) {
        Err(Cause::CoreModule)
    } else if bytes.trim_ascii_start().starts_with(b"(component")
        || bytes.trim_ascii_start().starts_with(b"(module")
    {
        Err(Cause::WasmText)
    } else {
        Err(Cause::NotWasm)
    }
}

fn malformed(error: wasmparser::BinaryReaderError) -> Cause {
    Cause::Malformed(error.into())
}

fn truncated() -> Cause {
    Cause::Malformed("the file ends in the middle".into())
}
