//! RFC 6962 Merkle trees (§2.1): leaves are hashed with a 0x00 byte in front, nodes with 0x01, and a tree
//! of n leaves splits at the largest power of two below n.

use sha2::{Digest as _, Sha256};
use sluice_core::Digest;

/// A tree that grows leaf by leaf in logarithmic space.
#[derive(Debug, Default, Clone)]
pub(crate) struct MerkleTree {
    /// Roots of complete subtrees, largest first, as the bits of the number of leaves.
    peaks: Vec<Digest>,
    leaves: u64,
}

impl MerkleTree {
    pub fn push(&mut self, leaf: &[u8]) {
        let mut node =
            Digest::from_bytes(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into());
        // Each trailing one of the count is a complete subtree of the same size as the new one: join them.
        let mut count = self.leaves;
        while count & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                node = join(&left, &node);
            }
            count >>= 1;
        }
        self.peaks.push(node);
        self.leaves += 1;
    }

    /// The root; of no leaves at all, the digest of nothing.
    pub fn root(&self) -> Digest {
        let joined = self.peaks.iter().copied().rev().reduce(|right, left| join(&left, &right));
        joined.unwrap_or_else(|| Digest::of(b""))
    }
}

fn join(left: &Digest, right: &Digest) -> Digest {
    let hasher = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    Digest::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 §2.1, word for word.
    fn by_definition(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [leaf] => Digest::of(&[&[0][..], leaf].concat()),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                join(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn grows_into_the_tree_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..70_u8).map(|n| vec![n; usize::from(n % 5)]).collect();
        let mut tree = MerkleTree::default();
        for count in 0..leaves.len() {
            assert_eq!(tree.root(), by_definition(&leaves[..count]), "{count} leaves");
            tree.push(&leaves[count]);
        }
    }

    #[test]
    fn known_answers_of_certificate_transparency() {
        // The test vectors of the reference implementation (google/certificate-transparency, merkletree).
        let mut tree = MerkleTree::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(tree.root().to_hex(), empty);
        tree.push(b"");
        assert_eq!(tree.root().to_hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        tree.push(b"\0");
        assert_eq!(tree.root().to_hex(), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    }
}
