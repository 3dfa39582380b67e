"""Constants of the MATSIRO column (MATSIRO.md 2.1 and 3.3).

The model description prints no physical constants; those are the usual ones of its family.
"""

from __future__ import annotations

import numpy as np

T_MELT = 273.15  # K
STEFAN_BOLTZMANN = 5.67e-8  # W m-2 K-4
GRAVITY = 9.81  # m s-2
VON_KARMAN = 0.40
R_AIR = 287.04  # J kg-1 K-1
R_VAPOUR = 461.5  # J kg-1 K-1
CP_AIR = 1004.6  # J kg-1 K-1
L_VAP = 2.50e6  # J kg-1
L_MELT = 3.34e5  # J kg-1
L_SUB = L_VAP + L_MELT  # the identity keeps phase changes from leaking energy
RHO_WATER = 1000.0  # kg m-3
CP_WATER = 4190.0  # J kg-1 K-1
THETA_0 = 300.0  # K, reference temperature of the Obukhov length
O2_FRACTION = 0.209  # SiB2
LEAF_PROJECTION = 0.5  # F, mean projection of spherical leaves
DIFFUSIVITY = 1.0 / np.cos(np.deg2rad(53.0))  # d_f
PAR_QUANTA = 4.6e-6  # mol quanta per J of visible light
MOLAR_DENSITY = 44.6  # mol m-3 of air at 273.16 K and 1.013e5 Pa

SOIL_THICKNESS = np.array([0.05, 0.20, 0.75, 1.00, 2.00])  # m
"""The description has a sixth layer of 10 m; it holds about 4 m of water, drains only through
base flow and takes decades to spin up, so a tower column stops at 4 m (as older versions do)."""

SOIL_INTERFACE = np.concatenate([[0.0], np.cumsum(SOIL_THICKNESS)])  # m
SOIL_SPACING = 0.5 * (SOIL_THICKNESS[:-1] + SOIL_THICKNESS[1:])  # m between layer centres

WIND_FLOOR = 0.5  # m s-1; the description has none (calm air has no turbulent exchange in it)
LAI_FLOOR = 1e-3
DISPLACEMENT_CAP = 0.7  # of the reference height; the printed 0.5 bites close above forests
Z0_GROUND = 0.05  # m
ZT_GROUND = 0.005  # m
Z0_SNOW, ZT_SNOW = 0.01, 0.001  # m; not in the description
SATURATION_FLOOR = 0.02  # lowest degree of saturation, bounds the water potential
PONDING = 1e-3  # m of water that may stand on the soil
KS_DECAY = 1.0 / 0.333  # f, m-1
DRIP_D1, DRIP_D2 = 1.14e-11, 3.7e3  # m s-1, m-1
SOIL_RESISTANCE_A2 = 0.2

# snow
RHO_SNOW = 300.0  # kg m-3
CP_ICE = 2100.0  # J kg-1 K-1
SNOW_FULL_COVER = 100.0  # Sn_c, kg m-2
SNOW_CONDUCTIVITY = 0.3  # W m-1 K-1
SNOW_LEAST = 1e-3  # kg m-2; less than this melts at once, so that sqrt(Sn) keeps a slope
SNOW_MAX = 1000.0  # kg m-2, the rest leaves as ice
SNOW_COLDEST = 160.0  # K, a guard no measured forcing should reach
REFREEZE_SHARE = 0.1  # of the mass of a layer in one step
ALBEDO_NEW = np.array([0.9, 0.7, 0.01])  # visible, near infrared, infrared
ALBEDO_OLD = np.array([0.65, 0.2, 0.1])
AGEING_TEMPERATURE = 5000.0  # K
AGEING_TIME = 1e6  # s
AGEING_DIRT = 0.3
AGEING_CAP = 0.999  # of the way from new to old
SNOW_REFRESH = 10.0  # dSn_c, kg m-2 of snowfall that make the surface new; not in the description
ZENITH_SLOPE = 0.4  # of snow albedo
COS_DIFFUSE = np.cos(np.deg2rad(50.0))  # zenith angle that stands for diffuse light
