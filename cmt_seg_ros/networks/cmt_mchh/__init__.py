"""CMT-MCHH: coupled multi-task network with multi-scale context and hierarchical hyper-features."""

from cmt_seg_ros.networks.cmt_mchh.config import CmtMchhConfig, HyperConfig, VggConfig
from cmt_seg_ros.networks.cmt_mchh.network import CmtMchh

__all__ = ["CmtMchh", "CmtMchhConfig", "HyperConfig", "VggConfig"]
